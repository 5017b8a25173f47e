/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - tokens: who one is, and how much one may. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"

#define SECRET_BYTES_MIN 16u

static int say(struct gbx_error *err, int code, const char *path, size_t line,
               const char *what)
{
    *err = (struct gbx_error){.code = code};
    if (line > 0)
        snprintf(err->what, sizeof(err->what), "%s:%zu: %s", path, line, what);
    else
        snprintf(err->what, sizeof(err->what), "%s: %s", path, what);
    return code;
}

static int add(struct access *access, const char *path, size_t number,
               char *line, struct gbx_error *err)
{
    char *rest = line, *name = strsep(&rest, " \t"),
         *secret = rest != NULL ? strsep(&rest, " \t") : NULL, *end = NULL;
    double rate = rest != NULL ? strtod(rest, &end) : 0;
    unsigned long most = 0;
    struct token *more;

    if (end != NULL && end != rest && *end == ' ') {
        rest = end + 1;
        most = strtoul(rest, &end, 10);
        if (rest[0] < '1' || rest[0] > '9' || most > 1000000)
            return say(err, GBX_EFORMAT, path, number,
                       "how many calls at once is a whole number, from 1 on");
    }

    if (secret == NULL || name[0] == '\0')
        return say(
            err, GBX_EFORMAT, path, number,
            "NAME SECRET [REQUESTS A SECOND [CALLS AT ONCE]] is expected");
    if (strlen(secret) < SECRET_BYTES_MIN)
        return say(err, GBX_EFORMAT, path, number,
                   "a secret has at least 16 characters: openssl rand -hex 16");
    if (rest != NULL && (end == rest || *end != '\0' || rate <= 0))
        return say(err, GBX_EFORMAT, path, number, "that rate is no number");
    more = realloc(access->tokens, (access->count + 1) * sizeof(*more));
    if (more == NULL)
        return say(err, GBX_EHOST, path, number, "no memory");
    access->tokens = more;
    more[access->count] = (struct token){.name = strdup(name),
                                         .secret = strdup(secret),
                                         .rate = rate,
                                         .most = (unsigned)most,
                                         .left = rate};
    access->count++;
    return 0;
}

int access_open(struct access *access, const char *path, struct gbx_error *err)
{
    char line[1024];
    size_t number = 0;
    struct stat st;
    FILE *file;
    int rc = 0;

    *access = (struct access){.tokens = NULL};
    pthread_mutex_init(&access->lock, NULL);
    if (path == NULL)
        return 0;
    file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &st) < 0)
        rc = say(err, GBX_EFILE, path, 0, strerrordesc_np(errno));
    else if ((st.st_mode & 077) != 0)
        rc = say(err, GBX_EFILE, path, 0,
                 "others may read it: chmod 600 it first");
    while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
        number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            rc = add(access, path, number, line, err);
    }
    if (file != NULL)
        fclose(file);
    if (rc == 0 && access->count == 0)
        rc = say(err, GBX_EFORMAT, path, 0, "there is no token in it");
    return rc;
}

void access_close(struct access *access)
{
    for (size_t i = 0; i < access->count; i++) {
        free(access->tokens[i].name);
        free(access->tokens[i].secret);
    }
    free(access->tokens);
    pthread_mutex_destroy(&access->lock);
}

/* Not to be told apart by how long it takes, but for the guess's length. */
static bool is_same(const char *secret, const char *guess)
{
    const size_t bytes = strlen(secret), guessed = strlen(guess);
    volatile unsigned char other = bytes != guessed;

    for (size_t i = 0; i < guessed; i++)
        other = (unsigned char)(other | (guess[i] ^ secret[i % bytes]));
    return other == 0;
}

static struct token *find(struct access *access, const char *secret)
{
    struct token *found = NULL;

    for (size_t i = 0; i < access->count; i++)
        if (is_same(access->tokens[i].secret, secret))
            found = &access->tokens[i];
    return found;
}

bool access_take(struct access *access, struct token *token)
{
    const uint64_t now = daemon_now_ns();
    double most;
    bool good;

    if (token == NULL || token->rate <= 0)
        return true;
    pthread_mutex_lock(&access->lock);
    token->left += (double)(now - token->seen_ns) * 1e-9 * token->rate;
    most = token->rate < 1 ? 1 : token->rate;
    token->left = token->left > most ? most : token->left;
    token->seen_ns = now;
    good = token->left >= 1;
    token->left -= good ? 1 : 0;
    pthread_mutex_unlock(&access->lock);
    return good;
}

bool access_is_local(const char *address)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, address, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address, &six) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&six);
}

bool access_is_socket_local(int fd)
{
    struct sockaddr_storage name;
    socklen_t bytes = sizeof(name);
    char text[INET6_ADDRSTRLEN] = "";

    if (getsockname(fd, (struct sockaddr *)&name, &bytes) < 0)
        return false;
    if (name.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&name)->sin_addr, text,
                  sizeof(text));
    else if (name.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&name)->sin6_addr, text,
                  sizeof(text));
    else
        return name.ss_family == AF_UNIX;
    return access_is_local(text);
}

/* localhost:80, 127.0.0.1, [::1]:5556 */
static bool is_local_name(const char *text)
{
    const char *end = strrchr(text, ':');
    char name[300];
    size_t bytes = strlen(text);

    if (end != NULL && strspn(end + 1, "0123456789") == strlen(end + 1))
        bytes = (size_t)(end - text);
    if (bytes > 1 && text[0] == '[' && text[bytes - 1] == ']')
        text++, bytes -= 2;
    if (bytes >= sizeof(name))
        return false;
    memcpy(name, text, bytes);
    name[bytes] = '\0';
    return strcasecmp(name, "localhost") == 0 || access_is_local(name);
}

static bool is_own_page(const char *host, const char *origin)
{
    const char *name = strstr(origin, "://");

    if (host[0] != '\0' && !is_local_name(host))
        return false;
    return origin[0] == '\0' || (name != NULL && is_local_name(name + 3));
}

int access_check(struct access *access, const char *secret, const char *host,
                 const char *origin, struct token **token)
{
    *token = access->count > 0 ? find(access, secret) : NULL;
    if (access->count > 0)
        return *token != NULL ? 0 : 401;
    return is_own_page(host, origin) ? 0 : 403;
}
