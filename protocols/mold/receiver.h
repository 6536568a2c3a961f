/* receiver.h - the inside of a receiver
 *
 *   receiver.def, receiver.c  packets, time and calls to events, to actions
 *   hold.c                    messages put aside, by number
 *   gaps.c                    what is missing, and whom to ask for it
 *   options.c                 made, looked at, freed
 *
 * Callbacks may free it: after each, `dead` is looked at; the memory goes when
 * the outermost call returns. */
#ifndef SONICIO_MOLD_RECEIVER_H
#define SONICIO_MOLD_RECEIVER_H

#include <sonicio/bip.h>
#include <sonicio/mold.h>
#include <sonicio/sequencer.h>

#include "mold/packet.h"

struct sonic__mold_gap {
    sonic_mold_gap g;
    int64_t due;    /* when to ask, or to ask again */
    unsigned tries; /* requests in a row without an answer */
    unsigned server;
    bool lost; /* a part of it was given up */
};

struct sonic_mold_receiver {
    const sonic_mold_handler *handler;
    void *ud, *request_ud;
    uint64_t next, high, end; /* end: where the session ends; 0: not known */
    int64_t now;
    sonic_sequencer *held;
    sonic_bip *bytes;             /* of what is held: records, see hold.c */
    struct sonic__mold_gap *gaps; /* a ring, in the order of their numbers */
    size_t gaps_head, gaps_n, gaps_mask;
    int64_t soonest; /* no gap is due before */
    struct sonic__mold_bucket bucket;
    uint64_t feed_next[SONIC_MOLD_FEEDS_MAX + 1]; /* expected there */
    uint8_t session[SONIC_MOLD_SESSION], before[SONIC_MOLD_SESSION];
    uint8_t wanted[SONIC_MOLD_SESSION];
    char name[SONIC_MOLD_SESSION + 1]; /* of the session */
    bool has_wanted, has_before, dead;
    uint8_t state; /* machine: receiver.def; enum sonic_mold_state */
    unsigned busy; /* calls on the stack */
    sonic_mold_receiver_options opt;
    const sonic_fsm_tracer *tracer;
    sonic_mold_receiver_stats stats;
    sonic_mem mem;
};

/* hold.c */
/* 0, or why there is no room; -EEXIST: it is held already. */
int sonic__mold_hold(sonic_mold_receiver *r, uint64_t sequence,
                     const uint8_t *data, size_t len);
/* Take one out; data is valid until sonic__mold_drop. */
bool sonic__mold_unhold(sonic_mold_receiver *r, uint64_t sequence,
                        sonic_sequenced *out);
void sonic__mold_drop(sonic_mold_receiver *r, const sonic_sequenced *item);
/* The least number that is held; UINT64_MAX: nothing is. */
uint64_t sonic__mold_held_least(const sonic_mold_receiver *r);
/* Drop all before that number. */
void sonic__mold_drop_before(sonic_mold_receiver *r, uint64_t sequence);
void sonic__mold_drop_all(sonic_mold_receiver *r);

/* gaps.c */
void sonic__mold_open_gap(sonic_mold_receiver *r, uint64_t first,
                          uint64_t last);
/* A missing message has come. */
void sonic__mold_fill(sonic_mold_receiver *r, uint64_t sequence, bool reply);
/* Messages first .. last, which are missing, are given up. */
void sonic__mold_forget(sonic_mold_receiver *r, uint64_t first, uint64_t last);
void sonic__mold_forget_all(sonic_mold_receiver *r);
/* Ask for what is due.  True: nobody answers for the first gap. */
bool sonic__mold_ask(sonic_mold_receiver *r);

static inline struct sonic__mold_gap *
sonic__mold_gap_at(const sonic_mold_receiver *r, size_t i)
{
    return &r->gaps[(r->gaps_head + i) & r->gaps_mask];
}

extern const sonic_fsm sonic__mold_receiver_fsm, sonic__mold_packer_fsm;

#endif
