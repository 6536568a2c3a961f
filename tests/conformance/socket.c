/* Making sockets. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire.h"

union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

static socklen_t
parse(const char *address, union name *name)
{
    const char *colon = strrchr(address, ':');
    char host[64];

    memset(name, 0, sizeof *name);
    if (strncmp(address, "unix:", 5) == 0) {
        name->un.sun_family = AF_UNIX;
        if (strlen(address + 5) >= sizeof name->un.sun_path)
            return 0;
        memcpy(name->un.sun_path, address + 5, strlen(address + 5));
        return sizeof name->un;
    }
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return 0;
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    name->in.sin_family = AF_INET;
    name->in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &name->in.sin_addr) != 1)
        return 0;
    return sizeof name->in;
}

static int
make(const union name *name)
{
    int fd = socket(name->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd >= 0 && name->any.sa_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int
wire_dial(const char *address)
{
    union name name;
    socklen_t len = parse(address, &name);
    int fd = len == 0 ? -1 : make(&name);

    if (fd >= 0 && connect(fd, &name.any, len) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int
wire_listen(const char *address, char *bound, size_t cap)
{
    union name name;
    socklen_t len = parse(address, &name);
    int fd = len == 0 ? -1 : make(&name);

    if (fd < 0 || bind(fd, &name.any, len) < 0 || listen(fd, 64) < 0)
        return -1;
    if (name.any.sa_family == AF_UNIX) {
        snprintf(bound, cap, "%s", address);
        return fd;
    }
    if (getsockname(fd, &name.any, &len) < 0)
        return -1;
    snprintf(bound, cap, "127.0.0.1:%u", ntohs(name.in.sin_port));
    return fd;
}
