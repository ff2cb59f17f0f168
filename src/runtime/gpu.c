/* gpu.c: NVML by dlopen. Its few calls are declared here as NVIDIA's reference of the API gives them. */
#include "gpu_int.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NVML_LIBRARY "libnvidia-ml.so.1"

struct nvml_memory {
    unsigned long long total, free, used; /* bytes */
};

/* All return 0 for success. */
struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver)(char *out, unsigned size);
    int (*count)(unsigned *out);
    int (*handle)(unsigned index, void **out);
    int (*name)(void *device, char *out, unsigned size);
    int (*uuid)(void *device, char *out, unsigned size);
    int (*memory)(void *device, struct nvml_memory *out);
    int (*minor)(void *device, unsigned *out);
};

static const struct {
    const char *symbol;
    size_t      offset;
} nvml_calls[] = {
    { "nvmlInit_v2", offsetof(struct nvml, init) },
    { "nvmlShutdown", offsetof(struct nvml, shutdown) },
    { "nvmlSystemGetDriverVersion", offsetof(struct nvml, driver) },
    { "nvmlDeviceGetCount_v2", offsetof(struct nvml, count) },
    { "nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, handle) },
    { "nvmlDeviceGetName", offsetof(struct nvml, name) },
    { "nvmlDeviceGetUUID", offsetof(struct nvml, uuid) },
    { "nvmlDeviceGetMemoryInfo", offsetof(struct nvml, memory) },
    { "nvmlDeviceGetMinorNumber", offsetof(struct nvml, minor) },
};

static bool find_calls(void *library, struct nvml *out)
{
    for (size_t i = 0; i < countof(nvml_calls); i++) {
        void *at = dlsym(library, nvml_calls[i].symbol);
        if (!at) return false;
        memcpy((char *)out + nvml_calls[i].offset, &at, sizeof at);
    }
    return true;
}

static void find_folder(const struct nvml *n, struct gpus *out)
{
    Dl_info info;
    void   *at;
    memcpy(&at, &n->init, sizeof at);
    if (!dladdr(at, &info) || !info.dli_fname) return;
    char *real = realpath(info.dli_fname, NULL);
    char *end  = real ? strrchr(real, '/') : NULL;
    if (end && (size_t)(end - real) < sizeof out->library_dir) {
        memcpy(out->library_dir, real, (size_t)(end - real));
        out->library_dir[end - real] = 0;
    }
    free(real);
}

static bool read_one(const struct nvml *n, unsigned index, struct gpu *out)
{
    void              *device;
    struct nvml_memory memory;
    unsigned           minor;
    *out = (struct gpu){ 0 };
    if (n->handle(index, &device) || n->name(device, out->name, sizeof out->name) ||
        n->uuid(device, out->uuid, sizeof out->uuid) || n->memory(device, &memory) || n->minor(device, &minor))
        return false;
    out->memory_mib = (uint32_t)(memory.total >> 20);
    out->minor      = minor;
    return true;
}

static void read_all(const struct nvml *n, struct gpus *out)
{
    unsigned count;
    if (n->driver(out->driver, sizeof out->driver) || n->count(&count)) return;
    find_folder(n, out);
    for (unsigned i = 0; i < count && out->count < GPUS_MAX; i++)
        if (read_one(n, i, &out->gpu[out->count])) out->count++;
}

void gpus_read(struct gpus *out)
{
    *out          = (struct gpus){ 0 };
    void *library = dlopen(NVML_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    struct nvml n;
    if (find_calls(library, &n) && n.init() == 0) {
        read_all(&n, out);
        n.shutdown();
    }
    dlclose(library);
}
