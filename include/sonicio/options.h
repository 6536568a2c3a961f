/* <sonicio/options.h> - socket options
 *
 * Everything asked for is applied, or the call that takes the options fails
 * with the system's error, or with SONIC_EOPTION where the option does not
 * exist for that kind of socket.  0 and SONIC_DEFAULT leave the system's
 * default, except where another default is given here.
 */
#ifndef SONICIO_OPTIONS_H
#define SONICIO_OPTIONS_H

#include <sonicio/api.h>
#include <sonicio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_socket_options {
    size_t size;
    enum sonic_switch reuse_addr; /* default on for TCP listeners */
    enum sonic_switch reuse_port; /* SO_REUSEPORT: several listeners */
    enum sonic_switch no_delay;   /* TCP_NODELAY; default on */
    enum sonic_switch quick_ack;  /* TCP_QUICKACK, once, after connecting */
    enum sonic_switch v6_only;    /* IPV6_V6ONLY */
    enum sonic_switch keep_alive; /* SO_KEEPALIVE */
    int keep_alive_idle;          /* seconds, TCP_KEEPIDLE; 0: not set */
    int keep_alive_interval;      /* seconds, TCP_KEEPINTVL */
    int keep_alive_count;         /* probes, TCP_KEEPCNT */
    int user_timeout;             /* milliseconds, TCP_USER_TIMEOUT */
    int receive_buffer;           /* bytes, SO_RCVBUF */
    int send_buffer;              /* bytes, SO_SNDBUF */
    int busy_poll;                /* microseconds, SO_BUSY_POLL */
    enum sonic_switch timestamps; /* SO_TIMESTAMPNS */
    int ttl;                      /* 1 to 255, IP_TTL or IPV6_UNICAST_HOPS */
    int tos;                      /* 1 to 255, IP_TOS or IPV6_TCLASS */
    int priority;                 /* 1 to 6, SO_PRIORITY */
    const char *device;           /* SO_BINDTODEVICE; NULL: any */
    const char *bind;             /* local address to connect from, as text */
} sonic_socket_options;

#define SONIC_SOCKET_OPTIONS_INIT                                              \
    {                                                                          \
        .size = sizeof(sonic_socket_options)                                   \
    }

#ifdef __cplusplus
}
#endif
#endif
