/* One end of a SoupBinTCP connection in a simulated world, and at the other
 * end of its stream the test, which writes and reads packets by hand.  What
 * the end's handler hears is written down:
 *     "login USER PASSWORD SESSION N"  "open SESSION N"  "N:message"
 *     "u:message"  "+:text"  "drain"  "close END STATE ERROR next=N"
 * each followed by a new line. */
#ifndef SONICIO_TESTS_SOUP_WORLD_H
#define SONICIO_TESTS_SOUP_WORLD_H

#include <sonicio/sim.h>
#include <sonicio/soup.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

struct soup_world {
    sonic_sim *sim;
    const sonic_sys *k;
    sonic_io *io;
    sonic_soup *soup;
    int peer; /* -1: closed */
    size_t allocs, blocks;
    char log[4096];
    size_t logged;
    sonic_soup_close_record why;
    const char *answer; /* to a login: "" reject S, "no" reject A, NULL: wait,
                           else the session to accept it with */
    uint64_t first;     /* number that it is accepted with; 0: as asked */
    bool quit;          /* free the soup in its next callback */
};

extern const sonic_soup_handler soup_recorder;

/* handler NULL: soup_recorder. */
void soup_world_begin(struct soup_world *w, enum sonic_soup_role role,
                      const sonic_soup_options *opt,
                      const sonic_soup_handler *handler);
/* Frees what is there; false when memory or a descriptor is left. */
bool soup_world_end(struct soup_world *w);

/* Run what can run now. */
void soup_settle(struct soup_world *w);
/* Let so much time go by. */
void soup_pass(struct soup_world *w, int64_t time);

/* The peer sends: a packet of that type; the bytes as they are. */
void soup_peer(struct soup_world *w, char type, const char *rest);
void soup_peer_bytes(struct soup_world *w, const void *p, size_t n);
/* Fields padded to "%-6s%-10s%10s%20s", "%10s%20s". */
void soup_peer_login(struct soup_world *w, const char *user,
                     const char *password, const char *session,
                     const char *number);
void soup_peer_accept(struct soup_world *w, const char *session,
                      const char *number);
void soup_peer_end(struct soup_world *w);
/* What the peer got since the last call, as "T|rest" lines; blanks in a row
 * are one. */
const char *soup_peer_got(struct soup_world *w);

/* Client: logged in to session S, at number 5.  Server: a client "me" is. */
void soup_world_open(struct soup_world *w, enum sonic_soup_role role,
                     const sonic_soup_options *opt,
                     const sonic_soup_handler *handler);

/* The log is that, and empty from now on. */
#define soup_expect(w, text)                                                   \
    do {                                                                       \
        soup_settle(w);                                                        \
        ck_assert_str_eq((w)->log, text);                                      \
        (w)->log[(w)->logged = 0] = '\0';                                      \
    } while (0)

#endif
