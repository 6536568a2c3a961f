/* root.h - the square root, without libm */
#ifndef SONICIO_SRC_ROOT_H
#define SONICIO_SRC_ROOT_H

/* Newton's method from above, which falls until it is there; without it all
 * that link statically would need libm. */
static inline double
sonic__root(double x)
{
    double r = x > 1 ? x : 1;

    if (!(x > 0))
        return 0;
    for (;;) {
        double next = (r + x / r) / 2;

        if (!(next < r))
            return r;
        r = next;
    }
}

#endif
