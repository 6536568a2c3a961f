/* One simulated world per test, and short words for its calls. */
#ifndef SONICIO_TESTS_SIM_WORLD_H
#define SONICIO_TESTS_SIM_WORLD_H

#include <netinet/in.h>

#include <sonicio/sim.h>

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

enum { ALWAYS = 1000000, PAGE = 4096 };

extern sonic_sim *sim;
extern const sonic_sys *k;

/* A world, in sim and k; ended, it must have nothing left over. */
void begin(const sonic_sim_options *opt);
void end(void);
int new_epoll(void);
/* Edge-triggered, both directions; the data is the descriptor. */
void watch(int ep, int fd);
/* The events of the one descriptor that is ready within the timeout, or 0. */
uint32_t events_within(int ep, int64_t timeout);
void new_pair(int fd[2]);
void shut(int fd);
/* send and recv; the bytes do not matter. */
ssize_t put(int fd, size_t n);
ssize_t take(int fd, size_t n);
struct sockaddr_in address(const char *text, uint16_t port);
int new_socket(void);
int new_listener(const char *at, uint16_t port, int backlog);
/* A socket whose connect returned what was expected. */
int new_client(const char *at, uint16_t port, int expected);
int so_error(int fd);
/* What getaddrinfo says, and n addresses with the port asked for. */
void expect_addresses(const char *name, int family, int expected, size_t n);

#endif
