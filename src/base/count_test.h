/* SPDX-License-Identifier: Apache-2.0 */
/* count_test.h - for tests: what a folder has, to see that nothing is left. */
#ifndef BASE_COUNT_TEST_H
#define BASE_COUNT_TEST_H

#include <dirent.h>
#include <stddef.h>

#include "base/check.h"

/* With "." and "..". */
static inline int count_names(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    must(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Descriptors of this process; one more, but always the same. */
static inline int count_open_files(void)
{
    return count_names("/proc/self/fd");
}

#endif
