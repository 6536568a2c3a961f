/* Cases, read from files.
 *
 *     section 1 Framing
 *     for size in 0 125 126
 *     case 1.1.$# text of $size bytes
 *         send text fill $size
 *         echo
 *         end
 *
 * A line that begins a case or a loop stands at the margin, the steps of a
 * case are indented; play.h says what steps there are.  Loops hold for the
 * next case, and several make every combination; $NAME is the loop's word, $#
 * the number of the combination.  In a list, 3..9 is every number from 3 to 9,
 * and x80..bf every byte in hexadecimal; a word
 * may be in double quotes, which stay, or in single ones, which do not. */
#ifndef CONFORMANCE_CASES_H
#define CONFORMANCE_CASES_H

#include <stdbool.h>
#include <stddef.h>

struct test_case {
    unsigned section;
    char *id, *title;
    char **line; /* terminated by NULL */
    int *number; /* of each line in its file */
    const char *file;
};

struct cases {
    struct test_case *list;
    size_t n;
    char *section[100]; /* titles by number */
};

/* Ends the program when the file is not one of cases. */
void cases_read(struct cases *c, const char *file);
void cases_free(struct cases *c);

#endif
