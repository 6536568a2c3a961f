#include "secure.h"

#include <errno.h>

#include "args.h"

enum { WHY = 256 };

const char *
secure_wrong(const struct secure_options *opt)
{
    if (opt->n_keys > opt->n_certs)
        return "a key without a certificate";
    if (opt->n_keys > 0 && opt->n_keys < opt->n_certs)
        return "a key for each certificate, or for none: then it is in the "
               "same file";
    return NULL;
}

static void
take_certificates(const struct secure_options *from,
                  sonic_tls_certificate own[SECURE_CERTIFICATES],
                  sonic_tls_context_options *opt)
{
    for (unsigned i = 0; i < from->n_certs; i++)
        own[i] = (sonic_tls_certificate){
            .chain_file = from->cert[i],
            .key_file = from->n_keys > 0 ? from->key[i] : NULL};
    opt->certificates = own;
    opt->n_certificates = from->n_certs;
    opt->key_log_env = SONIC_ON;
    opt->ktls = from->ktls ? SONIC_ON : SONIC_OFF;
}

static int
make(sonic_io *io, const char *cmd, enum sonic_tls_role role,
     const sonic_tls_context_options *opt, sonic_tls_context **out)
{
    char why[WHY];
    int err = sonic_tls_context_new(io, role, opt, out, why, sizeof why);

    if (err < 0)
        complain(cmd, "TLS: %s", *why != '\0' ? why : sonic_strerror(err));
    return err;
}

int
secure_serve(sonic_io *io, const char *cmd, const struct secure_options *from,
             sonic_tls_context **out)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own[SECURE_CERTIFICATES];

    if (from->n_certs == 0)
        return 0;
    take_certificates(from, own, &opt);
    return make(io, cmd, SONIC_TLS_SERVER, &opt, out);
}

int
secure_client(sonic_io *io, const char *cmd, const struct secure_options *from,
              sonic_tls_context **out)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own[SECURE_CERTIFICATES];

    take_certificates(from, own, &opt);
    opt.ca_file = from->cacert;
    if (from->insecure)
        opt.verify = SONIC_OFF;
    return make(io, cmd, SONIC_TLS_CLIENT, &opt, out);
}

int
secure_both(sonic_io *io, sonic_tls_context **server,
            sonic_tls_context **client)
{
    sonic_tls_context_options so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own;
    struct certificate c;
    int err;

    if (!certificate_make(
            &(struct certificate_wish){.name = "sonicio, for a moment",
                                       .names = "IP:127.0.0.1"},
            &c))
        return -ENOMEM;
    own = (sonic_tls_certificate){.chain = c.pem,
                                  .chain_len = c.pem_len,
                                  .key = c.key_pem,
                                  .key_len = c.key_len};
    so.certificates = &own;
    so.n_certificates = 1;
    co.ca = c.pem;
    co.ca_len = c.pem_len;
    err = sonic_tls_context_new(io, SONIC_TLS_SERVER, &so, server, NULL, 0);
    if (err == 0)
        err = sonic_tls_context_new(io, SONIC_TLS_CLIENT, &co, client, NULL, 0);
    certificate_free(&c);
    return err;
}

const char *
secure_advice(int err)
{
    switch (err) {
    case SONIC_ETLS_SELF_SIGNED:
    case SONIC_ETLS_UNKNOWN_ISSUER:
        return "if you know who issued its certificate, trust that one with "
               "--cacert FILE; --insecure takes anybody";
    case SONIC_ETLS_WRONG_HOST:
        return "connect by a name that the certificate has; --insecure takes "
               "any";
    case SONIC_ETLS_EXPIRED:
    case SONIC_ETLS_NOT_YET_VALID:
        return "check the clock here, then ask the server's operator for a new "
               "certificate; --insecure takes this one";
    case SONIC_ETLS_PROTOCOL:
    case SONIC_ETLS_VERSION:
        return "perhaps it does not speak TLS on this port: try ws:// instead "
               "of wss://";
    default:
        return NULL;
    }
}
