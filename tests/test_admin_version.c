/* SPDX-License-Identifier: MIT */
/*
 * test_admin_version - make a data file look like that of a later version
 *
 *   test_admin_version DATA_FILE
 *
 * Both superblocks get another version and a checksum that fits.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <xxhash.h>

#include "module/limits.h"
#include "module/superblock_format.h"

static int change(int fd, off_t offset)
{
    struct syncq_superblock superblock;

    if (pread(fd, &superblock, sizeof(superblock), offset) !=
        (ssize_t)sizeof(superblock))
        return 1;
    superblock.version = SYNCQ_FORMAT_VERSION + 1;
    superblock.checksum =
        XXH3_64bits(&superblock, offsetof(struct syncq_superblock, checksum));
    return pwrite(fd, &superblock, sizeof(superblock), offset) !=
           (ssize_t)sizeof(superblock);
}

int main(int argc, char **argv)
{
    int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;

    if (fd < 0 || change(fd, 0) || change(fd, (off_t)SYNCQ_PAGE_SIZE)) {
        perror("test_admin_version");
        return 1;
    }
    return close(fd) != 0;
}
