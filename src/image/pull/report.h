/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what this program says to the library that has started it: lines
 * on standard output (image/start.c reads them).
 *
 *   progress PHASE BYTES ALL
 *   damage TEXT
 *   error CODE ERRNO TEXT
 *
 * Threads: any, but progress: the main one.
 */
#ifndef IMAGE_PULL_REPORT_H
#define IMAGE_PULL_REPORT_H

#include <stdint.h>

#include "glovebox/image.h"

void report_progress(enum gbx_image_phase phase, uint64_t bytes, uint64_t all);
void report_damage(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void report_error(const struct gbx_error *err);

#endif
