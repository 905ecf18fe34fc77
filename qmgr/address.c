/* SPDX-License-Identifier: MIT */
#include "qmgr/address.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "qmgr/memory.h"

/* Characters that may stand in an unquoted local part beside letters, digits
 * and single dots. */
static int address_is_atom(unsigned char c)
{
    return c >= 128 || isalnum(c) ||
           (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static int address_is_dot_string(const char *local, size_t size)
{
    size_t i;

    if (size == 0 || local[0] == '.' || local[size - 1] == '.')
        return 0;
    for (i = 0; i < size; i++) {
        if (local[i] == '.' ? local[i - 1] == '.'
                            : !address_is_atom((unsigned char)local[i]))
            return 0;
    }
    return 1;
}

char *address_externalize(const char *address)
{
    const char *at = strrchr(address, '@');
    size_t local_size = at != NULL ? (size_t)(at - address) : strlen(address);
    char *quoted = memory_new(2 * strlen(address) + 3);
    char *out = quoted;
    size_t i;

    if (*address == '\0' || address_is_dot_string(address, local_size)) {
        memcpy(quoted, address, strlen(address));
        return quoted;
    }
    *out++ = '"';
    for (i = 0; i < local_size; i++) {
        if (address[i] == '"' || address[i] == '\\' || address[i] == '\r')
            *out++ = '\\';
        *out++ = address[i];
    }
    *out++ = '"';
    memcpy(out, address + local_size, strlen(address + local_size));
    return quoted;
}

char *address_internalize(const char *address)
{
    char *plain = memory_new(strlen(address) + 1);
    char *out = plain;
    int quoted = 0;

    for (; *address != '\0'; address++) {
        if (*address == '"') {
            quoted = !quoted;
        } else if (*address == '\\' && quoted && address[1] != '\0') {
            *out++ = *++address;
        } else {
            *out++ = *address;
        }
    }
    return plain;
}

void address_quote(const char *address, char *quoted, size_t size)
{
    char *external = address_externalize(address);
    size_t i;

    for (i = 0; i + 1 < size && external[i] != '\0'; i++) {
        unsigned char c = (unsigned char)external[i];

        quoted[i] = c < 32 || c == 127 ? '?' : (char)c;
    }
    if (size > 0)
        quoted[i] = '\0';
    free(external);
}

void address_lower(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
    }
}

static int address_has_prefix(const char *text, size_t size, const char *prefix)
{
    return size >= strlen(prefix) &&
           strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Size of the local part without its extension; mailing list owners and
 * -request addresses have none when '-' is the delimiter. */
static size_t address_base_size(const char *local, size_t size,
                                const char *delimiters)
{
    size_t i;

    if (strchr(delimiters, '-') != NULL &&
        (address_has_prefix(local, size, "owner-") ||
         (size > 8 && strncasecmp(local + size - 8, "-request", 8) == 0)))
        return size;
    for (i = 1; i < size; i++) {
        if (strchr(delimiters, local[i]) != NULL)
            return i;
    }
    return size;
}

char *address_mailbox_name(const char *address, const char *nexthop,
                           const char *delimiters)
{
    const char *at = strrchr(address, '@');
    size_t size = at != NULL ? (size_t)(at - address) : strlen(address);
    char *name;

    if (*delimiters != '\0')
        size = address_base_size(address, size, delimiters);
    name = memory_print("%.*s@%s", (int)size, address, nexthop);
    address_lower(name);
    return name;
}

/* Length of the UTF-8 sequence at text, 0 when it is not valid. */
static size_t address_utf8_size(const unsigned char *text)
{
    size_t size, i;
    uint32_t code, least;

    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf) {
        size = 2, least = 0x80, code = text[0] & 0x1fu;
    } else if ((text[0] & 0xf0) == 0xe0) {
        size = 3, least = 0x800, code = text[0] & 0x0fu;
    } else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        size = 4, least = 0x10000, code = text[0] & 0x07u;
    } else {
        return 0;
    }
    for (i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return size;
}

int address_is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    int wide = 0;

    while (*at != 0) {
        size_t size = address_utf8_size(at);

        if (size == 0)
            return 0;
        wide |= size > 1;
        at += size;
    }
    return wide;
}

int address_local_is(const char *address, const char *name)
{
    const char *at = strrchr(address, '@');
    size_t size = at != NULL ? (size_t)(at - address) : strlen(address);

    return size == strlen(name) && strncasecmp(address, name, size) == 0;
}

char *address_verp(const char *sender, const char *recipient,
                   const char *delimiters)
{
    const char *at = strrchr(sender, '@');
    const char *rcpt_at = strrchr(recipient, '@');
    size_t local = at != NULL ? (size_t)(at - sender) : strlen(sender);
    size_t rcpt_local =
        rcpt_at != NULL ? (size_t)(rcpt_at - recipient) : strlen(recipient);

    if (rcpt_at == NULL)
        return memory_print("%.*s%c%s%s", (int)local, sender, delimiters[0],
                            recipient, at != NULL ? at : "");
    return memory_print("%.*s%c%.*s%c%s%s", (int)local, sender, delimiters[0],
                        (int)rcpt_local, recipient, delimiters[1], rcpt_at + 1,
                        at != NULL ? at : "");
}
