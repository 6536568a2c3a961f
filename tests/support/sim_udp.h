/* UDP sockets of a simulated world (sim_world.h) that carry numbers. */
#ifndef SONICIO_TESTS_SIM_UDP_H
#define SONICIO_TESTS_SIM_UDP_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

struct sockaddr_in at(const char *text, uint16_t port);
/* Non-blocking ones, IPv4. */
int udp(void);
int bound(const char *text, uint16_t port);
int connected(const char *text, uint16_t port);
/* text NULL: to whom it is connected */
ssize_t send_number(int fd, const char *text, uint16_t port, uint32_t n);
/* A number, or the error. */
int64_t take_number(int fd);
void set_int(int fd, int level, int name, int value);
void join(int fd, const char *group, unsigned iface);

#endif
