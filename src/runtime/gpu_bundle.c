/* gpu_bundle.c: GPUs in a container: their device nodes, and the host driver's libraries where CUDA's images look for
 * them. The libraries belong to the kernel's driver, so they come from the host and never from the image. */
#include "container_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FOLDER "/usr/local/nvidia"
#define LIBRARIES FOLDER "/lib64"

static const char *const libraries[] = {
    "libcuda.so.1",        "libnvidia-ml.so.1",     "libnvidia-ptxjitcompiler.so.1",
    "libnvidia-nvvm.so.4", "libnvidia-opencl.so.1",
};

static struct err add_device(json_t *limits, const char *path, bool needed)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
        return needed ? ERR(MISSING, "a GPU's device file is not there") : OK;
    json_int_t major_number = major(st.st_rdev), minor_number = minor(st.st_rdev);
    json_array_append_new(json_object_get(limits, "devices"),
                          json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:i}", "path", path, "type", "c", "major",
                                    major_number, "minor", minor_number, "fileMode", 0666, "uid", 0, "gid", 0));
    json_array_append_new(json_object_get(json_object_get(limits, "resources"), "devices"),
                          json_pack("{s:b, s:s, s:I, s:I, s:s}", "allow", 1, "type", "c", "major", major_number,
                                    "minor", minor_number, "access", "rw"));
    return OK;
}

static void add_library(const struct gpus *g, const char *name, json_t *mounts)
{
    char source[RUNTIME_PATH_TEXT], target[RUNTIME_PATH_TEXT];
    path_write(source, "%s/%s", g->library_dir, name);
    path_write(target, "%s/%s", LIBRARIES, name);
    if (access(source, R_OK) < 0) return; /* drivers differ in what they have */
    json_array_append_new(mounts,
                          json_pack("{s:s, s:s, s:s, s:[s,s,s,s]}", "destination", target, "type", "bind",
                                    "source", source, "options", "bind", "ro", "nosuid", "nodev"));
}

static void add_environment(json_t *env)
{
    size_t  i;
    json_t *pair;
    json_array_foreach(env, i, pair)
    {
        const char *text = json_string_value(pair);
        if (strncmp(text, "LD_LIBRARY_PATH=", 16) != 0) continue;
        json_array_set_new(env, i, json_sprintf("%s:%s", text, LIBRARIES));
        return;
    }
    json_array_append_new(env, json_string("LD_LIBRARY_PATH=" LIBRARIES));
}

struct err gpu_add(struct runtime *r, const struct container_spec *s, json_t *config)
{
    if (!s->gpus_count) return OK;
    const struct gpus *g = runtime_gpus(r);

    json_t *limits = json_object_get(config, "linux"), *mounts = json_object_get(config, "mounts");
    json_object_set_new(limits, "devices", json_array());
    for (size_t i = 0; i < s->gpus_count; i++) {
        if (s->gpus[i] >= g->count) return ERR(MISSING, "this machine has no such GPU");
        char path[RUNTIME_PATH_TEXT];
        path_write(path, "/dev/nvidia%u", g->gpu[s->gpus[i]].minor);
        TRY(add_device(limits, path, true));
    }
    TRY(add_device(limits, "/dev/nvidiactl", true));
    TRY(add_device(limits, "/dev/nvidia-uvm", true));
    TRY(add_device(limits, "/dev/nvidia-uvm-tools", false));

    TRY(bundle_make_point(s->root, FOLDER, true));
    json_array_append_new(mounts,
                          json_pack("{s:s, s:s, s:s, s:[s,s,s,s]}", "destination", FOLDER, "type", "tmpfs",
                                    "source", "tmpfs", "options", "nosuid", "nodev", "size=1m", "mode=0755"));
    for (size_t i = 0; i < countof(libraries); i++) add_library(g, libraries[i], mounts);
    add_environment(json_object_get(json_object_get(config, "process"), "env"));
    return OK;
}
