/* SPDX-License-Identifier: MIT */
#include "tests/faults/image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module/limits.h"
#include "tests/cmocka_all.h"

#define DATA_ELSEWHERE "../data.unnamed"

static const char *const names[] = {SYNCQ_KEY_FILE, SYNCQ_LATCH_FILE,
                                    SYNCQ_INDEX_FILE, SYNCQ_INDEX_FILE ".new"};

void image_init(struct image *image)
{
    *image = (struct image){.fixture = fixture_bare(), .has_queue = 1};
    image->fd = open(fixture_path(image->fixture, SYNCQ_DATA_FILE),
                     O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(image->fd >= 0);
}

void image_clear(struct image *image)
{
    if (image->map != NULL)
        munmap(image->map, image->size);
    close(image->fd);
    fixture_free(image->fixture);
}

/* The data file keeps its inode, which is mapped; only its name goes. */
static void name_data(struct image *image, int has_queue)
{
    char elsewhere[1024];

    if (image->has_queue == has_queue)
        return;
    (void)snprintf(elsewhere, sizeof elsewhere, "%s",
                   fixture_path(image->fixture, DATA_ELSEWHERE));
    if (has_queue)
        assert_int_equal(
            rename(elsewhere, fixture_path(image->fixture, SYNCQ_DATA_FILE)),
            0);
    else
        assert_int_equal(
            rename(fixture_path(image->fixture, SYNCQ_DATA_FILE), elsewhere),
            0);
    image->has_queue = has_queue;
}

static void size_data(struct image *image, uint64_t size)
{
    void *map;

    if (image->size == size)
        return;
    if (image->map != NULL)
        munmap(image->map, image->size);
    assert_int_equal(ftruncate(image->fd, (off_t)size), 0);
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    image->map = map;
    image->size = size;
    memset(image->map, 1, size); /* no hole is left: recovery refuses them */
}

static void apply(uint8_t *bytes, int file, const struct medium_unit *units,
                  const uint32_t *choices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (units[i].file == file && choices[i] > 0)
            memcpy(bytes + units[i].offset, units[i].versions[choices[i]],
                   units[i].size);
}

static void build_data(struct image *image, int file,
                       const struct medium_unit *units, const uint32_t *choices,
                       size_t count)
{
    uint64_t size;
    const uint8_t *base = medium_base(file, &size);

    size_data(image, size);
    for (uint64_t at = 0; at < size; at += SYNCQ_PAGE_SIZE)
        if (memcmp(image->map + at, base + at, SYNCQ_PAGE_SIZE) != 0)
            memcpy(image->map + at, base + at, SYNCQ_PAGE_SIZE);
    apply(image->map, file, units, choices, count);
}

static void build_small(struct image *image, const char *name, int file,
                        const struct medium_unit *units,
                        const uint32_t *choices, size_t count)
{
    uint64_t size;
    const uint8_t *base = medium_base(file, &size);
    uint8_t *bytes = malloc(size + 1);
    int fd = open(fixture_path(image->fixture, name),
                  O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(bytes != NULL && fd >= 0);
    memcpy(bytes, base, size);
    apply(bytes, file, units, choices, count);
    size = medium_file_size(file);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, bytes, size, 0), size);
    close(fd);
    free(bytes);
}

static int listed_file(const struct medium_listing *listing, const char *name)
{
    for (int i = 0; i < listing->count; i++)
        if (strcmp(listing->names[i].name, name) == 0)
            return listing->names[i].file;
    return MEDIUM_NONE;
}

void image_build(struct image *image, const struct medium_unit *units,
                 const uint32_t *choices, size_t count)
{
    const struct medium_listing *listing = medium_listing(0);
    int data;

    for (size_t i = 0; i < count; i++)
        if (units[i].file == MEDIUM_FOLDER)
            listing = medium_listing(choices[i]);
    data = listed_file(listing, SYNCQ_DATA_FILE);
    name_data(image, data >= 0);
    if (data >= 0)
        build_data(image, data, units, choices, count);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int file = listed_file(listing, names[i]);

        if (file >= 0)
            build_small(image, names[i], file, units, choices, count);
        else
            (void)unlink(fixture_path(image->fixture, names[i]));
    }
}
