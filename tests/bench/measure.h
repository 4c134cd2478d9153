/* What the benches measure with. No GLib. */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

/* By a clock that is not set. */
int64_t measure_get_ns (void);
/* Processor time, user's and system's; @whose as getrusage() takes it. */
double measure_get_cpu_s (int whose);
/* For sorting int64_t. */
int measure_compare_ns (const void *a, const void *b);
