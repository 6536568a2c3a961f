/* The simulated kernel against the real one: each script of calls runs on both
 * and writes down what it saw, and the two accounts must be equal.  The scripts
 * keep to what is deterministic in the real kernel over loopback. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/error.h>

#include "support/netns.h"
#include "support/sim_script.h"

static const struct {
    const char *name;
    script *run;
} scripts[] = {
#define X(name) {#name, script_##name},
    SIM_SCRIPTS(X)
#undef X
};

/* Run once for each family. */
static const struct {
    const char *name;
    script *run;
} net_scripts[] = {
#define X(name) {#name, script_##name},
    SIM_NET_SCRIPTS(X)
#undef X
};

enum {
    SCRIPTS = sizeof scripts / sizeof *scripts,
    NET_SCRIPTS = sizeof net_scripts / sizeof *net_scripts
};

static void
show_difference(const char *name, const char *real, const char *simulated)
{
    size_t i = 0, line = 0;

    while (real[i] != 0 && real[i] == simulated[i]) {
        if (real[i++] == '\n')
            line = i;
    }
    ck_abort_msg("%s: the kernel says\n%.300s\n...where the world says\n%.300s",
                 name, real + line, simulated + line);
}

START_TEST(same_as_the_kernel)
{
    static struct world real, simulated;
    char dir[] = "/tmp/sonic-XXXXXX";
    sonic_sim_leaks leaks;
    sonic_sim *sim;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(sonic_sim_new(&sim, NULL), 0);
    real = (struct world){.k = sonic_sys_kernel(), .dir = dir};
    simulated = (struct world){.k = sonic_sim_sys(sim), .dir = dir};
    scripts[_i].run(&real);
    scripts[_i].run(&simulated);
    rmdir(dir);
    if (strcmp(real.account, simulated.account) != 0)
        show_difference(scripts[_i].name, real.account, simulated.account);
    ck_assert_uint_gt(real.n, 0);
    ck_assert_int_eq(sonic_sim_free(sim, &leaks), 0);
}
END_TEST

/* What SIM_NET_SCRIPTS promises, of the real kernel ... */
static int
real_network(void)
{
    int err = netns_enter();

    if (err < 0)
        return err;
    ck_assert_int_eq(netns_veth("n1", "n0"), 0);
    ck_assert_int_eq(netns_sysctl("ipv4/conf/all/accept_local", "1"), 0);
    ck_assert_int_eq(netns_address("n0", "10.77.0.1", 24), 0);
    ck_assert_int_eq(netns_address("n1", "10.77.1.1", 24), 0);
    ck_assert_int_eq(netns_address("n0", "fd77::1", 64), 0);
    ck_assert_int_eq(netns_address("n1", "fd77:1::1", 64), 0);
    ck_assert_int_eq(netns_route("n0", "224.0.0.0", 4), 0);
    ck_assert_int_eq(netns_wait_address("fd77::1"), 0);
    ck_assert_int_eq(netns_wait_address("fd77:1::1"), 0);
    ck_assert_int_eq(netns_wait_wire("n0", "n1", "239.7.7.1"), 0);
    ck_assert_int_eq(netns_wait_wire("n1", "n0", "239.7.7.1"), 0);
    ck_assert_int_eq(netns_wait_wire("n0", "n1", "ff05::7:1"), 0);
    ck_assert_int_eq(netns_wait_wire("n1", "n0", "ff05::7:1"), 0);
    return 0;
}

/* ... and of the world. */
static sonic_sim *
simulated_network(void)
{
    sonic_sim *sim;

    ck_assert_int_eq(sonic_sim_new(&sim, NULL), 0);
    ck_assert_int_eq(sonic_sim_interface(sim, "n0", "10.77.0.1 fd77::1", 1), 2);
    ck_assert_int_eq(sonic_sim_interface(sim, "n1", "10.77.1.1 fd77:1::1", 1),
                     3);
    return sim;
}

START_TEST(same_as_the_kernels_network)
{
    static struct world real, simulated;
    const char *name = net_scripts[_i / 2].name;
    int family = _i % 2 == 0 ? AF_INET : AF_INET6, err = real_network();
    sonic_sim *sim = simulated_network();
    sonic_sim_leaks leaks;

    simulated = (struct world){.k = sonic_sim_sys(sim), .family = family};
    net_scripts[_i / 2].run(&simulated);
    ck_assert_uint_gt(simulated.n, 0);
    ck_assert_int_eq(sonic_sim_free(sim, &leaks), 0);
    if (err < 0) {
        printf("%s: no namespace (%s): NOT compared with the kernel\n", name,
               sonic_errname(err));
        return;
    }
    real = (struct world){.k = sonic_sys_kernel(), .family = family};
    net_scripts[_i / 2].run(&real);
    if (strcmp(real.account, simulated.account) != 0)
        show_difference(name, real.account, simulated.account);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_kernel");
    TCase *tc = tcase_create("scripts");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, same_as_the_kernel, 0, SCRIPTS);
    tcase_add_loop_test(tc, same_as_the_kernels_network, 0, 2 * NET_SCRIPTS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
