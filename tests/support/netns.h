/* A network of the test's own: a namespace with interfaces, addresses and
 * routes, gone when the process ends.  Needs root or unprivileged user
 * namespaces. */
#ifndef SONICIO_TESTS_NETNS_H
#define SONICIO_TESTS_NETNS_H

/* All of these: 0 or -errno. */

/* Leave the machine's network for an empty one, with lo up.  -EPERM: this
 * process may not; the test has to say so. */
int netns_enter(void);
/* Two interfaces joined by a wire, up. */
int netns_veth(const char *a, const char *b);
int netns_up(const char *name);
/* "10.0.0.1", 24; an IPv6 address is of use at once. */
int netns_address(const char *name, const char *address, unsigned prefix);
/* Where packets to a prefix leave. */
int netns_route(const char *name, const char *to, unsigned prefix);

/* Other hosts: the present namespace, a new one with lo up, as a descriptor;
 * from now on be there (what is made, sockets too, belongs there for ever); and
 * give one an interface, which is up there. */
int netns_here(void);
int netns_host(void);
int netns_visit(int host);
int netns_move(const char *name, int host);

/* Write to /proc/sys/net/PATH. */
int netns_sysctl(const char *path, const char *value);

/* The kernel does some of this behind our back (carrier, addrconf), and loses
 * what is sent before.  Wait until datagrams to one of our addresses come; or
 * those to a group that leave one interface come in by the other. */
int netns_wait_address(const char *address);
int netns_wait_wire(const char *out, const char *in, const char *group);

#endif
