/* SPDX-License-Identifier: Apache-2.0 */
/* writes.c - writes FILE: makes a file, and reads it back. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "w+") : NULL;
    char word[8] = "";

    if (file == NULL || fputs("word", file) < 0)
        return 1;
    rewind(file);
    return fgets(word, sizeof(word), file) == NULL || strcmp(word, "word") != 0;
}
