/* The contract of <sonicio/interface.h>; what it does follows. */
#include <sonicio/interface.h>

int
sonic_interface_find(sonic_io *io, const char *text, unsigned *index)
{
    (void)io, (void)text, (void)index;
    return -ENOSYS;
}

int
sonic_interface_name(sonic_io *io, unsigned index,
                     char name[SONIC_INTERFACE_NAME])
{
    (void)io, (void)index, (void)name;
    return -ENOSYS;
}

int
sonic_interface_list(sonic_io *io, sonic_interface *out, size_t cap)
{
    (void)io, (void)out, (void)cap;
    return -ENOSYS;
}

int
sonic_interface_addresses(sonic_io *io, unsigned index, int family,
                          sonic_address *out, size_t cap)
{
    (void)io, (void)index, (void)family, (void)out, (void)cap;
    return -ENOSYS;
}
