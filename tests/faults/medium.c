/* SPDX-License-Identifier: MIT */
#include "tests/faults/medium.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/queue.h"
#include "tests/faults/schedule.h"

enum { LISTINGS_MAX = 64, PAGE = 4096 };

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset);
int __real_munmap(void *address, size_t size);

struct version {
    struct version *next; /* newer */
    uint64_t step;
    uint8_t bytes[MEDIUM_SECTOR];
};

struct file {
    int fd; /* -1: this number is free */
    ino_t inode;
    uint64_t size, length; /* in whole pages; in bytes */
    uint8_t *base, *seen;
    const uint8_t *live;       /* mapped */
    struct version **versions; /* by sector, oldest first */
};

struct dated_listing {
    struct medium_listing listing;
    uint64_t step;
};

static struct {
    int directory_fd;
    ino_t inode;
    struct file files[MEDIUM_FILES_MAX];
    struct dated_listing listings[LISTINGS_MAX];
    uint32_t listing_count;
    uint64_t step;
    int active, changed;
    void (*point)(void *context);
    void *context;
} medium;

static void *must(void *memory)
{
    if (memory == NULL || memory == MAP_FAILED) {
        perror("medium");
        exit(1);
    }
    return memory;
}

int medium_follows(void)
{
    return medium.active && schedule_is_task();
}

/* ---- files ---- */

static void file_grow(struct file *file, uint64_t size)
{
    uint64_t sectors = size / MEDIUM_SECTOR;
    uint64_t before = file->size / MEDIUM_SECTOR;

    if (file->live != NULL)
        (void)__real_munmap((void *)(uintptr_t)file->live, file->size);
    file->live =
        must(__real_mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, 0));
    file->base = must(realloc(file->base, size));
    file->seen = must(realloc(file->seen, size));
    file->versions =
        must(reallocarray(file->versions, sectors, sizeof *file->versions));
    memset(file->base + file->size, 0, size - file->size);
    memset(file->seen + file->size, 0, size - file->size);
    for (uint64_t i = before; i < sectors; i++)
        file->versions[i] = NULL;
    file->size = size;
}

static void file_follow_size(struct file *file)
{
    struct stat status;
    uint64_t size;

    if (fstat(file->fd, &status) != 0)
        return;
    file->length = (uint64_t)status.st_size;
    size = (file->length + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    if (size > file->size)
        file_grow(file, size);
}

static void sector_forget(struct file *file, uint64_t sector)
{
    while (file->versions[sector] != NULL) {
        struct version *oldest = file->versions[sector];

        file->versions[sector] = oldest->next;
        free(oldest);
    }
}

static void file_close(struct file *file)
{
    for (uint64_t i = 0; i < file->size / MEDIUM_SECTOR; i++)
        sector_forget(file, i);
    if (file->live != NULL)
        (void)__real_munmap((void *)(uintptr_t)file->live, file->size);
    free(file->base);
    free(file->seen);
    free(file->versions);
    close(file->fd);
    *file = (struct file){.fd = -1};
}

static int file_by_inode(ino_t inode)
{
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0 && medium.files[i].inode == inode)
            return i;
    return MEDIUM_NONE;
}

static int file_open(const char *name, ino_t inode)
{
    for (int i = 0; i < MEDIUM_FILES_MAX; i++) {
        struct file *file = &medium.files[i];

        if (file->fd >= 0)
            continue;
        file->fd = openat(medium.directory_fd, name, O_RDONLY | O_CLOEXEC);
        if (file->fd < 0)
            return MEDIUM_NONE;
        file->inode = inode;
        return i;
    }
    (void)fprintf(stderr, "medium: too many files\n");
    exit(1);
}

static void sector_add(struct file *file, uint64_t sector)
{
    struct version **end = &file->versions[sector];
    struct version *version = must(malloc(sizeof *version));

    while (*end != NULL)
        end = &(*end)->next;
    version->next = NULL;
    version->step = medium.step;
    memcpy(version->bytes, file->live + sector * MEDIUM_SECTOR, MEDIUM_SECTOR);
    memcpy(file->seen + sector * MEDIUM_SECTOR, version->bytes, MEDIUM_SECTOR);
    *end = version;
    medium.changed = 1;
}

static void file_note(struct file *file)
{
    file_follow_size(file);
    for (uint64_t at = 0; at < file->size; at += PAGE) {
        if (memcmp(file->live + at, file->seen + at, PAGE) == 0)
            continue;
        for (uint64_t i = at; i < at + PAGE; i += MEDIUM_SECTOR)
            if (memcmp(file->live + i, file->seen + i, MEDIUM_SECTOR) != 0)
                sector_add(file, i / MEDIUM_SECTOR);
    }
}

/* ---- the folder ---- */

static void read_listing(struct medium_listing *listing)
{
    int fd = openat(medium.directory_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *directory = must(fdopendir(fd));
    struct dirent *entry;

    memset(listing, 0, sizeof *listing);
    while ((entry = readdir(directory)) != NULL) {
        struct medium_name *name = &listing->names[listing->count];

        if (entry->d_type != DT_REG || listing->count == MEDIUM_NAMES_MAX ||
            strlen(entry->d_name) >= sizeof name->name)
            continue;
        name->file = file_by_inode(entry->d_ino);
        if (name->file == MEDIUM_NONE)
            name->file = file_open(entry->d_name, entry->d_ino);
        if (name->file == MEDIUM_NONE)
            continue;
        (void)strcpy(name->name, entry->d_name);
        listing->count++;
    }
    (void)closedir(directory);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct medium_name *)a)->name,
                  ((const struct medium_name *)b)->name);
}

static void folder_note(void)
{
    struct medium_listing listing;
    uint32_t count = medium.listing_count;

    read_listing(&listing);
    qsort(listing.names, (size_t)listing.count, sizeof listing.names[0],
          compare_names);
    if (count > 0 && memcmp(&listing, &medium.listings[count - 1].listing,
                            sizeof listing) == 0)
        return;
    if (count == LISTINGS_MAX) {
        (void)fprintf(stderr, "medium: the folder is never synced\n");
        exit(1);
    }
    medium.listings[medium.listing_count++] =
        (struct dated_listing){listing, medium.step};
    medium.changed = 1;
}

static int is_listed(int file)
{
    for (uint32_t i = 0; i < medium.listing_count; i++)
        for (int k = 0; k < medium.listings[i].listing.count; k++)
            if (medium.listings[i].listing.names[k].file == file)
                return 1;
    return 0;
}

/* The folder as it was at this step is durable. */
static void folder_synced(uint64_t step)
{
    uint32_t first = 0;

    while (first + 1 < medium.listing_count &&
           medium.listings[first + 1].step <= step)
        first++;
    if (first == 0)
        return;
    medium.listing_count -= first;
    memmove(medium.listings, medium.listings + first,
            medium.listing_count * sizeof medium.listings[0]);
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0 && !is_listed(i))
            file_close(&medium.files[i]);
    medium.changed = 1;
}

/* ---- steps ---- */

uint64_t medium_note(void)
{
    medium.step++;
    folder_note();
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0)
            file_note(&medium.files[i]);
    return medium.step;
}

int medium_find(int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return MEDIUM_NONE;
    if (status.st_ino == medium.inode && S_ISDIR(status.st_mode))
        return MEDIUM_FOLDER;
    return file_by_inode(status.st_ino);
}

static void sector_synced(struct file *file, uint64_t sector, uint64_t step)
{
    while (file->versions[sector] != NULL &&
           file->versions[sector]->step <= step) {
        struct version *oldest = file->versions[sector];

        memcpy(file->base + sector * MEDIUM_SECTOR, oldest->bytes,
               MEDIUM_SECTOR);
        file->versions[sector] = oldest->next;
        free(oldest);
        medium.changed = 1;
    }
}

void medium_synced(int number, uint64_t offset, uint64_t size, uint64_t step)
{
    struct file *file;
    uint64_t end;

    if (number == MEDIUM_FOLDER) {
        folder_synced(step);
        return;
    }
    file = &medium.files[number];
    end = size > file->size - offset ? file->size : offset + size;
    for (uint64_t i = offset / MEDIUM_SECTOR;
         i < (end + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR; i++)
        sector_synced(file, i, step);
}

void medium_offer_point(void)
{
    if (!medium.changed)
        return;
    medium.changed = 0;
    schedule_pause(1);
    medium.point(medium.context);
    schedule_pause(0);
}

void medium_point(void)
{
    if (!medium_follows())
        return;
    (void)medium_note();
    medium.changed = 1;
    medium_offer_point();
}

void medium_begin(const char *directory, void (*point)(void *context),
                  void *context)
{
    struct stat status;

    memset(&medium, 0, sizeof medium);
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        medium.files[i].fd = -1;
    medium.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (medium.directory_fd < 0 || fstat(medium.directory_fd, &status) != 0)
        must(NULL);
    medium.inode = status.st_ino;
    medium.point = point;
    medium.context = context;
    (void)medium_note();
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0)
            medium_synced(i, 0, UINT64_MAX, medium.step);
    medium.changed = 0;
    medium.active = 1;
}

void medium_end(void)
{
    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0)
            file_close(&medium.files[i]);
    close(medium.directory_fd);
    medium.active = 0;
}

/* ---- units ---- */

const uint8_t *medium_base(int file, uint64_t *size)
{
    *size = medium.files[file].size;
    return medium.files[file].base;
}

uint64_t medium_file_size(int file)
{
    return medium.files[file].length;
}

const struct medium_listing *medium_listing(uint32_t number)
{
    return &medium.listings[number].listing;
}

struct unit_list {
    struct medium_unit *units;
    size_t count, capacity;
};

static struct medium_unit *unit_new(struct unit_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->units = must(
            reallocarray(list->units, list->capacity, sizeof *list->units));
    }
    return &list->units[list->count++];
}

/* Collect the different versions of some bytes of a sector. */
static void add_unit(struct unit_list *list, int number, uint64_t offset,
                     uint32_t size)
{
    const struct file *file = &medium.files[number];
    const struct version *version = file->versions[offset / MEDIUM_SECTOR];
    uint32_t inside = (uint32_t)(offset % MEDIUM_SECTOR), count = 1;
    const uint8_t **versions = NULL;

    for (; version != NULL; version = version->next) {
        const uint8_t *bytes = version->bytes + inside;
        uint32_t i = 1;

        if (memcmp(bytes, file->base + offset, size) == 0)
            continue;
        while (i < count && memcmp(bytes, versions[i], size) != 0)
            i++;
        if (i < count)
            continue;
        versions = must(reallocarray(versions, count + 1, sizeof *versions));
        versions[0] = file->base + offset;
        versions[count++] = bytes;
    }
    if (versions == NULL)
        return;
    *unit_new(list) =
        (struct medium_unit){number, offset, size, count, versions, NULL};
}

/* A page: as it was, lost, or as it is. */
static void add_page(struct unit_list *list, int number, uint64_t offset)
{
    const struct file *file = &medium.files[number];
    uint8_t *lost = must(malloc(PAGE));
    const uint8_t **versions = must(calloc(3, sizeof *versions));

    for (uint64_t i = 0; i < PAGE; i++)
        lost[i] = file->base[offset + i] ^ 0xa5;
    versions[0] = file->base + offset;
    versions[1] = lost;
    versions[2] = file->seen + offset;
    *unit_new(list) =
        (struct medium_unit){number, offset, PAGE, 3, versions, lost};
}

static int is_changed(const struct file *file, uint64_t page)
{
    for (uint64_t i = 0; i < PAGE / MEDIUM_SECTOR; i++)
        if (file->versions[page / MEDIUM_SECTOR + i] != NULL)
            return 1;
    return 0;
}

static int has_name(int file, const char *name)
{
    for (uint32_t i = 0; i < medium.listing_count; i++)
        for (int k = 0; k < medium.listings[i].listing.count; k++)
            if (medium.listings[i].listing.names[k].file == file &&
                strcmp(medium.listings[i].listing.names[k].name, name) == 0)
                return 1;
    return 0;
}

static void add_file(struct unit_list *list, int number, enum medium_mode mode)
{
    const struct file *file = &medium.files[number];
    uint32_t size = mode == MEDIUM_BY_WORD && has_name(number, SYNCQ_INDEX_FILE)
                        ? MEDIUM_WORD
                        : MEDIUM_SECTOR;

    if (mode == MEDIUM_BY_PAGE && has_name(number, SYNCQ_DATA_FILE)) {
        for (uint64_t at = 0; at < file->size; at += PAGE)
            if (is_changed(file, at))
                add_page(list, number, at);
        return;
    }
    for (uint64_t i = 0; i < file->size / MEDIUM_SECTOR; i++)
        for (uint32_t k = 0; file->versions[i] != NULL && k < MEDIUM_SECTOR;
             k += size)
            add_unit(list, number, i * MEDIUM_SECTOR + k, size);
}

struct medium_unit *medium_units(enum medium_mode mode, size_t *count)
{
    struct unit_list list = {0};

    for (int i = 0; i < MEDIUM_FILES_MAX; i++)
        if (medium.files[i].fd >= 0 && is_listed(i))
            add_file(&list, i, mode);
    if (medium.listing_count > 1)
        *unit_new(&list) = (struct medium_unit){
            .file = MEDIUM_FOLDER, .version_count = medium.listing_count};
    *count = list.count;
    return list.units;
}

void medium_units_free(struct medium_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(units[i].versions);
        free(units[i].memory);
    }
    free(units);
}
