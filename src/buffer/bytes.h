/* bytes.h - the inside of the byte buffer, for its operations on streams */
#ifndef SONICIO_SRC_BYTES_H
#define SONICIO_SRC_BYTES_H

#include <sonicio/bytes.h>

#include "buffer/mirror.h"

struct sonic__saved {
    uint64_t at;
    size_t len; /* 0: discarded */
};

/* An operation of a stream that is under way. */
struct sonic__bytes_op {
    sonic_bytes_fn *cb; /* NULL: none is */
    void *ud;
};

/* Bytes are counted from the first one that was ever written: byte i lies at i
 * modulo the size of the storage, which is a power of two. */
struct sonic_bytes {
    struct sonic_mirror *mirror;
    uint64_t mask;
    uint64_t data; /* the first byte of the read area */
    uint64_t work; /* of the write area */
    uint64_t end;  /* behind the write area */
    size_t capacity;

    /* Slots in the order of saving, that is, of their bytes; number id lies at
     * id modulo slot_cap. */
    struct sonic__saved *slots;
    uint64_t first_id, next_id;
    size_t slot_cap, max_slots;
    size_t saved_len, saved_n;

    struct sonic__bytes_op reading, writing;
    unsigned busy; /* operations, callbacks on the stack among them */
    bool freed;
    sonic_mem mem;
};

/* The room, as far as nobody reads into it. */
uint8_t *sonic__bytes_room(const sonic_bytes *b, size_t *len);
/* Drop what was written, and begin at the first page when all is empty. */
void sonic__bytes_drop(sonic_bytes *b, size_t n);
/* The last operation of a buffer that is freed is over. */
void sonic__bytes_destroy(sonic_bytes *b);

#endif
