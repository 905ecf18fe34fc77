/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target once over each file named as argument; linked with one
 * where libFuzzer is not, so that the seeds are tested in every build.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The input in memory that ends where it ends, as libFuzzer gives it. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size = -1;
    int result = -1;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 ||
        fseek(file, 0, SEEK_SET))
        goto out;
    bytes = malloc(size ? (size_t)size : 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size)
        goto out;
    result = LLVMFuzzerTestOneInput(bytes, (size_t)size);
out:
    if (result)
        perror(path);
    free(bytes);
    if (file)
        fclose(file);
    return result;
}

int main(int argc, char **argv)
{
    int i, result = 0;

    for (i = 1; i < argc; i++)
        result |= replay(argv[i]);
    return result != 0;
}
