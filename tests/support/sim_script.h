/* Scripts of calls that run on the real kernel and on the simulated one, and
 * what they are written with. */
#ifndef SONICIO_TESTS_SIM_SCRIPT_H
#define SONICIO_TESTS_SIM_SCRIPT_H

#include <netinet/in.h>
#include <sys/epoll.h>

#include <sonicio/sim.h>

enum { ACCOUNT = 64 * 1024, SOON = 50, MAX_EVENTS = 16, BIG = 1 << 20 };

struct world {
    const sonic_sys *k;
    const char *dir; /* for paths */
    int family;      /* of scripts about datagrams */
    char account[ACCOUNT];
    size_t n;
};

typedef void script(struct world *w);

#define ET_ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* Write into the account. */
void say(struct world *w, const char *fmt, ...) SONIC_PRINTF(2, 3);
/* A result: a count, or an error's name. */
void told(struct world *w, const char *what, ssize_t r);
/* Only whether it worked, where the number is the system's choice. */
int tried(struct world *w, const char *what, int r);
/* What epoll_wait says within ms. */
void wait_for(struct world *w, const char *what, int ep, int max, int ms);
/* What poll says now. */
void look(struct world *w, const char *what, int fd);
/* Wait until something of `events` holds: loopback needs but a moment. */
void until(struct world *w, int fd, short events);
int new_epoll(struct world *w);
/* epoll_ctl; the tag is printed with the events. */
int watch(struct world *w, int ep, int op, int fd, uint32_t events, char tag);
void add(struct world *w, int ep, int fd, uint32_t events, char tag);
void done(struct world *w, int fd);
ssize_t put(struct world *w, int fd, const char *text);
void take(struct world *w, const char *what, int fd, size_t max);
void so_error(struct world *w, int fd);
struct sockaddr_in loopback(uint16_t port);
int new_socket(struct world *w, int family, int flags);
struct sockaddr_in name_of(struct world *w, int fd);
int tcp_listener(struct world *w, int backlog, struct sockaddr_in *at);
int tcp_connect(struct world *w, int fd, const struct sockaddr_in *to);
void tcp_pair(struct world *w, int fd[2]);
void unix_pair(struct world *w, int fd[2]);

/* Reads and writes of what is no socket. */
ssize_t pipe_put(struct world *w, int fd, size_t n);
ssize_t pipe_take(struct world *w, int fd, size_t n);
void event_put(struct world *w, int fd, uint64_t n);
void event_take(struct world *w, int fd);

/* X(name) */
#define SIM_SCRIPTS(X)                                                         \
    X(connecting)                                                              \
    X(refused)                                                                 \
    X(edges)                                                                   \
    X(levels)                                                                  \
    X(half_close)                                                              \
    X(shut_reading)                                                            \
    X(reset_by_close)                                                          \
    X(reset_by_linger)                                                         \
    X(write_to_closed)                                                         \
    X(full_buffers)                                                            \
    X(unix_streams)                                                            \
    X(unix_names)                                                              \
    X(unix_abstract)                                                           \
    X(pipes)                                                                   \
    X(eventfds)                                                                \
    X(misuse)                                                                  \
    X(numbers)                                                                 \
    X(accept_queue)                                                            \
    X(options)                                                                 \
    X(binding)                                                                 \
    X(dual_stack)                                                              \
    X(messages)                                                                \
    X(blocking)                                                                \
    X(files)                                                                   \
    X(poll_epoll)

/* X(name): for IPv4 and IPv6, in a network that has, beside lo, n0 (index 2:
 * 10.77.0.1, fd77::1) and n1 (index 3: 10.77.1.1, fd77:1::1) on one wire. */
#define SIM_NET_SCRIPTS(X)                                                     \
    X(udp_unconnected)                                                         \
    X(udp_connected)                                                           \
    X(udp_shutdown)                                                            \
    X(udp_edges)                                                               \
    X(udp_sizes)                                                               \
    X(udp_control)                                                             \
    X(udp_binding)                                                             \
    X(udp_choice)                                                              \
    X(udp_dual_stack)                                                          \
    X(udp_messages)                                                            \
    X(udp_segments)                                                            \
    X(udp_overflow)                                                            \
    X(udp_blocking)                                                            \
    X(udp_source)                                                              \
    X(group_matrix)                                                            \
    X(group_old_options)                                                       \
    X(group_limits)                                                            \
    X(group_settings)                                                          \
    X(group_delivery)                                                          \
    X(group_filters)                                                           \
    X(group_binding)                                                           \
    X(group_all)                                                               \
    X(group_interfaces)                                                        \
    X(group_loop)

#define X(name) script script_##name;
SIM_SCRIPTS(X)
SIM_NET_SCRIPTS(X)
#undef X

#endif
