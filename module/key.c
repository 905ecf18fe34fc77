/* SPDX-License-Identifier: MIT */
#include "module/key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/queue.h"

static_assert(SYNCQ_KEY_SIZE == crypto_generichash_KEYBYTES, "BLAKE2b");
static_assert(SYNCQ_MAC_SIZE >= crypto_generichash_BYTES_MIN, "BLAKE2b");

/* Headers and superblocks are MACed in one call from a buffer of this size. */
#define MAC_BUFFER_SIZE 128

static const uint8_t fingerprint_label[] = "syncq key fingerprint";

static int write_key(int fd, const uint8_t bytes[SYNCQ_KEY_SIZE])
{
    size_t done = 0;

    while (done < SYNCQ_KEY_SIZE) {
        ssize_t count = write(fd, bytes + done, SYNCQ_KEY_SIZE - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? errno : EIO;
        done += (size_t)count;
    }
    return 0;
}

/*
 * A crash before the last sync may leave an empty, a whole or no key file; it
 * never matters, since the superblock that needs the key is written later.
 */
int syncq_key_create(int directory_fd, struct syncq_key *key)
{
    uint8_t bytes[SYNCQ_KEY_SIZE];
    int fd = -1, result;

    /* Also chooses the fastest BLAKE2b for this processor. */
    if (sodium_init() < 0)
        return ENOSYS;
    randombytes_buf(bytes, sizeof(bytes));
    fd = openat(directory_fd, SYNCQ_KEY_FILE,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        result = errno;
        goto out;
    }
    result = fchmod(fd, 0600) ? errno : 0; /* whatever the umask was */
    if (!result)
        result = write_key(fd, bytes);
    if (!result && fsync(fd))
        result = errno;
    if (close(fd) && !result)
        result = errno;
    if (!result && fsync(directory_fd))
        result = errno;
    if (result) /* ours and useless; the first error is the one that counts */
        (void)unlinkat(directory_fd, SYNCQ_KEY_FILE, 0);
    else
        memcpy(key->bytes, bytes, sizeof(bytes));
out:
    sodium_memzero(bytes, sizeof(bytes));
    return result;
}

static int check_file(int fd)
{
    struct stat status;

    if (fstat(fd, &status))
        return errno;
    if (!S_ISREG(status.st_mode) || status.st_size != SYNCQ_KEY_SIZE)
        return SYNCQ_ERR_KEY_FILE;
    if (geteuid() != 0 && status.st_uid != geteuid())
        return SYNCQ_ERR_OWNER;
    if (status.st_mode & (S_IRWXG | S_IRWXO))
        return SYNCQ_ERR_MODE;
    return 0;
}

static int read_key(int fd, uint8_t bytes[SYNCQ_KEY_SIZE])
{
    size_t done = 0;

    while (done < SYNCQ_KEY_SIZE) {
        ssize_t count = read(fd, bytes + done, SYNCQ_KEY_SIZE - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        if (count == 0) /* cut since it was looked at */
            return SYNCQ_ERR_KEY_FILE;
        done += (size_t)count;
    }
    return 0;
}

int syncq_key_load(int directory_fd, struct syncq_key *key)
{
    uint8_t bytes[SYNCQ_KEY_SIZE];
    int fd = -1, result;

    if (sodium_init() < 0)
        return ENOSYS;
    /* O_NONBLOCK: somebody's FIFO must not stop us. */
    fd = openat(directory_fd, SYNCQ_KEY_FILE,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? SYNCQ_ERR_KEY_FILE : errno;
    result = check_file(fd);
    if (!result)
        result = read_key(fd, bytes);
    if (!result)
        memcpy(key->bytes, bytes, sizeof(bytes));
    sodium_memzero(bytes, sizeof(bytes));
    (void)close(fd); /* nothing was written */
    return result;
}

/* Independent of the UUID, so that it can be compared before that is known. */
void syncq_key_fingerprint(const struct syncq_key *key,
                           uint8_t fingerprint[SYNCQ_FINGERPRINT_SIZE])
{
    (void)crypto_generichash(fingerprint, SYNCQ_FINGERPRINT_SIZE,
                             fingerprint_label, sizeof(fingerprint_label) - 1,
                             key->bytes, sizeof(key->bytes));
}

/* libsodium's result is ignored: it fails for bad sizes only, and ours are
 * constants. */
void syncq_key_mac(const struct syncq_key *key, const void *bytes, size_t size,
                   uint8_t mac[SYNCQ_MAC_SIZE])
{
    crypto_generichash_state state;
    uint8_t buffer[MAC_BUFFER_SIZE];

    if (size <= sizeof(buffer) - SYNCQ_UUID_SIZE) {
        memcpy(buffer, bytes, size);
        memcpy(buffer + size, key->uuid, SYNCQ_UUID_SIZE);
        (void)crypto_generichash(mac, SYNCQ_MAC_SIZE, buffer,
                                 size + SYNCQ_UUID_SIZE, key->bytes,
                                 sizeof(key->bytes));
        return;
    }
    (void)crypto_generichash_init(&state, key->bytes, sizeof(key->bytes),
                                  SYNCQ_MAC_SIZE);
    (void)crypto_generichash_update(&state, bytes, size);
    (void)crypto_generichash_update(&state, key->uuid, SYNCQ_UUID_SIZE);
    (void)crypto_generichash_final(&state, mac, SYNCQ_MAC_SIZE);
}

int syncq_key_verify(const struct syncq_key *key, const void *bytes,
                     size_t size, const uint8_t mac[SYNCQ_MAC_SIZE])
{
    uint8_t right[SYNCQ_MAC_SIZE];

    syncq_key_mac(key, bytes, size, right);
    return sodium_memcmp(right, mac, sizeof(right)) == 0;
}

void syncq_key_clear(struct syncq_key *key)
{
    sodium_memzero(key, sizeof(*key));
}
