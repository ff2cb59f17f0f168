/* gpu_int.h: GPUs by NVIDIA's management library (NVML), opened at run time: a machine without it has none. */
#ifndef RUNTIME_GPU_INT_H
#define RUNTIME_GPU_INT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#include <stdint.h>

#define GPUS_MAX 16

struct gpu {
    char     uuid[48];
    char     name[48];
    uint32_t memory_mib;
    uint32_t minor; /* of /dev/nvidiaN, which need not be its index */
};

struct gpus {
    struct gpu gpu[GPUS_MAX];
    uint32_t   count;
    char       driver[32];       /* "550.54.15"; "" if there is none */
    char       library_dir[256]; /* where libnvidia-ml.so.1 was found */
};

void gpus_read(struct gpus *out);

#endif
