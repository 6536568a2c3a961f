/* Network interfaces, and what is told about them. */
#include <netinet/in.h>

#include "support/udp_rig.h"

START_TEST(listed_and_found)
{
    sonic_interface v[64], one[1];
    char name[SONIC_INTERFACE_NAME];
    sonic_address a[8];
    struct udp_rig r;
    unsigned index;
    int n;

    udp_open(&r, _i);
    n = sonic_interface_list(r.rig.io, v, 64);
    ck_assert_int_ge(n, 1);
    ck_assert_uint_eq(v[0].index, 1);
    ck_assert_str_eq(v[0].name, "lo");
    ck_assert(v[0].up && v[0].loopback && v[0].v4);
    for (int i = 1; i < n && i < 64; i++)
        ck_assert_uint_gt(v[i].index, v[i - 1].index);
    ck_assert_int_eq(sonic_interface_list(r.rig.io, one, 1), n);
    ck_assert_uint_eq(one[0].index, 1);
    ck_assert_int_eq(sonic_interface_list(r.rig.io, NULL, 0), n);
    ck_assert_int_eq(sonic_interface_name(r.rig.io, 1, name), 0);
    ck_assert_str_eq(name, "lo");
    ck_assert_int_eq(sonic_interface_name(r.rig.io, 99999, name), -ENODEV);
    ck_assert_int_eq(sonic_interface_find(r.rig.io, "127.0.0.1", &index), 0);
    ck_assert_uint_eq(index, 1);
    ck_assert_int_eq(sonic_interface_find(r.rig.io, NULL, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_ge(sonic_interface_addresses(r.rig.io, 1, r.family, a, 8), 1);
    ck_assert_int_eq(a[0].storage.ss_family, r.family);
    ck_assert_int_ge(sonic_interface_addresses(r.rig.io, 1, AF_UNSPEC, a, 0),
                     1);
    ck_assert_int_eq(sonic_interface_addresses(r.rig.io, 99999, 0, a, 8),
                     -ENODEV);
    hook_fail(&r.rig.hook, HOOK_getifaddrs, -EMFILE, 3);
    ck_assert_int_eq(sonic_interface_list(r.rig.io, v, 64), -EMFILE);
    ck_assert_int_eq(sonic_interface_addresses(r.rig.io, 1, 0, a, 8), -EMFILE);
    ck_assert_int_eq(sonic_interface_find(r.rig.io, "127.0.0.1", &index),
                     -EMFILE);
    udp_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("interface");
    TCase *tc = tcase_create("interfaces");

    udp_add(tc, listed_and_found);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
