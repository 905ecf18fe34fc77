/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/milter_peer.h"

#define PROTOCOL_VERSION 6
#define PACKET_SIZE_MAX  4096
#define OPEN_TIME_MS     10000
#define NO_REPLY_TO_MAIL 0x4000u /* SMFIP_NR_MAIL */

struct packet {
    char bytes[PACKET_SIZE_MAX];
    size_t size;
};

static void packet_add(struct packet *packet, const void *bytes, size_t size)
{
    if (size > sizeof(packet->bytes) - packet->size)
        size = sizeof(packet->bytes) - packet->size;
    memcpy(packet->bytes + packet->size, bytes, size);
    packet->size += size;
}

static void packet_add_text(struct packet *packet, const char *text)
{
    packet_add(packet, text, strlen(text) + 1);
}

static void packet_add_number(struct packet *packet, uint32_t number)
{
    number = htonl(number);
    packet_add(packet, &number, sizeof(number));
}

int milter_peer_send(struct milter_peer *peer, const void *bytes, size_t size)
{
    ssize_t sent = send(peer->fd, bytes, size, MSG_NOSIGNAL);

    return sent == (ssize_t)size ? 0 : sent < 0 ? errno : EPROTO;
}

static int packet_send(struct milter_peer *peer, const struct packet *packet)
{
    struct packet whole = {.size = 0};

    packet_add_number(&whole, (uint32_t)packet->size);
    packet_add(&whole, packet->bytes, packet->size);
    return milter_peer_send(peer, whole.bytes, whole.size);
}

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0, ETIMEDOUT, or EPROTO at the end of the connection. */
static int bytes_receive(struct milter_peer *peer, void *bytes, size_t size,
                         int64_t end_ms)
{
    struct pollfd poll_fd = {.fd = peer->fd, .events = POLLIN};
    size_t done = 0;
    ssize_t count;

    while (done < size) {
        int64_t left = end_ms - clock_ms();

        if (poll(&poll_fd, 1, left > 0 ? (int)left : 0) <= 0)
            return ETIMEDOUT;
        count = recv(peer->fd, (char *)bytes + done, size - done, 0);
        if (count <= 0)
            return EPROTO;
        done += (size_t)count;
    }
    return 0;
}

static int packet_receive(struct milter_peer *peer, struct packet *packet,
                          int timeout_ms)
{
    int64_t end_ms = clock_ms() + timeout_ms;
    uint32_t size;
    int result = bytes_receive(peer, &size, sizeof(size), end_ms);

    if (result)
        return result;
    packet->size = ntohl(size);
    if (!packet->size || packet->size >= sizeof(packet->bytes))
        return EPROTO;
    /* What has begun must come. */
    result = bytes_receive(peer, packet->bytes, packet->size,
                           clock_ms() + OPEN_TIME_MS);
    packet->bytes[packet->size] = 0;
    return result;
}

static uint32_t number_at(const char *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof(number));
    return ntohl(number);
}

static int negotiate(struct milter_peer *peer, uint32_t actions,
                     uint32_t protocol)
{
    struct packet packet = {.size = 0};
    size_t at, used = 0;
    int result;

    packet_add(&packet, "O", 1);
    packet_add_number(&packet, PROTOCOL_VERSION);
    packet_add_number(&packet, actions);
    packet_add_number(&packet, protocol);
    result = packet_send(peer, &packet);
    if (!result)
        result = packet_receive(peer, &packet, OPEN_TIME_MS);
    if (result)
        return result;
    if (packet.bytes[0] != 'O' || packet.size < 13)
        return EPROTO;
    peer->actions = number_at(packet.bytes + 5);
    peer->protocol = number_at(packet.bytes + 9);
    for (at = 13; at + 4 < packet.size;
         at += 4 + strlen(packet.bytes + at + 4) + 1)
        used += (size_t)snprintf(
            peer->macros + used, sizeof(peer->macros) - used, "%u:%s;",
            number_at(packet.bytes + at), packet.bytes + at + 4);
    return 0;
}

int milter_peer_open(struct milter_peer *peer, const char *path,
                     uint32_t actions, uint32_t protocol)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int result = 0;

    memset(peer, 0, sizeof(*peer));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        return errno;
    if (connect(peer->fd, (const void *)&address, sizeof(address)))
        result = errno;
    if (!result)
        result = negotiate(peer, actions, protocol);
    if (result)
        milter_peer_close(peer);
    return result;
}

void milter_peer_close(struct milter_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

/* Macros go before the command that they belong to. */
static int macro_send(struct milter_peer *peer, char command, const char *name,
                      const char *value)
{
    struct packet packet = {.size = 0};

    if (!value)
        return 0;
    packet_add(&packet, "D", 1);
    packet_add(&packet, &command, 1);
    packet_add_text(&packet, name);
    packet_add_text(&packet, value);
    return packet_send(peer, &packet);
}

int milter_peer_mail(struct milter_peer *peer, const char *mail_addr,
                     const char *const *arguments)
{
    struct packet packet = {.size = 0};

    packet_add(&packet, "M", 1);
    for (; *arguments; arguments++)
        packet_add_text(&packet, *arguments);
    if (macro_send(peer, 'M', "{mail_addr}", mail_addr) ||
        packet_send(peer, &packet))
        return MILTER_PEER_CLOSED;
    if (peer->protocol & NO_REPLY_TO_MAIL)
        return 'c';
    return milter_peer_reply(peer, OPEN_TIME_MS);
}

int milter_peer_end(struct milter_peer *peer, const char *queue_id)
{
    int result = macro_send(peer, 'E', "i", queue_id);

    return result ? result : milter_peer_command(peer, 'E');
}

int milter_peer_command(struct milter_peer *peer, char command)
{
    struct packet packet = {.size = 0};

    packet_add(&packet, &command, 1);
    return packet_send(peer, &packet);
}

int milter_peer_reply(struct milter_peer *peer, int timeout_ms)
{
    int64_t end_ms = clock_ms() + timeout_ms;
    struct packet packet;
    int result;

    for (;;) {
        int64_t left = end_ms - clock_ms();

        result = packet_receive(peer, &packet, left > 0 ? (int)left : 0);
        if (result)
            return result == ETIMEDOUT ? MILTER_PEER_TIMEOUT
                                       : MILTER_PEER_CLOSED;
        if (packet.bytes[0] != 'p')
            break;
        peer->progress_count++;
    }
    (void)snprintf(peer->text, sizeof(peer->text), "%.*s", MILTER_PEER_TEXT_MAX,
                   packet.bytes + 1);
    return packet.bytes[0];
}
