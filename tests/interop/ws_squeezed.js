// npm's ws and sonicio, each as the server of the other, with
// permessage-deflate, and over TLS where the build has it.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const https = require('node:https');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { Suite, TOOL, WebSocket, assert, echo, inbox, once, run } =
    require('./wire.js');

const suite = new Suite('ws squeezed');
const MESSAGES = ['', 'short', 'the same '.repeat(20),
    JSON.stringify(Array.from({ length: 2000 }, (_, id) => ({ id, a: 1 }))),
    '\u00fc\u20ac\u{1f600}'.repeat(5000), Buffer.alloc(0),
    Buffer.alloc(1 << 20), crypto.randomBytes(100000)];
const SETTINGS = {
    'as it is': { threshold: 0 },
    'no takeover': { serverNoContextTakeover: true,
        clientNoContextTakeover: true, threshold: 0 },
    'small windows': { serverMaxWindowBits: 9, clientMaxWindowBits: 10,
        threshold: 0 },
    'level 9': { zlibDeflateOptions: { level: 9, memLevel: 9 } },
};
const HELP = execFileSync(TOOL, ['echo', '--help']).toString();

function makeCert() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
    process.on('exit', () => fs.rmSync(folder, { recursive: true }));
    const cert = path.join(folder, 'cert');
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
        '/CN=localhost', '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout',
        `${cert}.key`, '-out', `${cert}.crt`], { stdio: 'ignore' });
    return cert;
}

async function toServer(url, cert, settings) {
    const ws = new WebSocket(url, { perMessageDeflate: settings, maxPayload: 0,
        ca: cert && fs.readFileSync(`${cert}.crt`) });
    const next = inbox(ws);
    await next('open');
    assert.match(ws.extensions, /permessage-deflate/);
    for (const message of [...MESSAGES, ...MESSAGES]) {
        ws.send(message);
        const [got, binary] = await next('message');
        assert.equal(binary, typeof message !== 'string');
        assert(got.equals(Buffer.from(message)), 'not what was sent');
    }
    ws.close(1000);
    await next('close');
}

async function toClient(cert, settings) {
    const server = cert ? https.createServer({
        cert: fs.readFileSync(`${cert}.crt`),
        key: fs.readFileSync(`${cert}.key`) }) : http.createServer();
    const wss = new WebSocket.Server({ server, perMessageDeflate: settings,
        maxPayload: 0 });
    let extensions = '';
    wss.on('connection', (ws) => {
        extensions = ws.extensions;
        ws.on('message', (data, binary) => ws.send(data, { binary }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const lines = MESSAGES.filter((m) => typeof m === 'string')
        .map((m) => `${m}\n`).join('').repeat(2);
    const end = await run(TOOL, ['connect', '--deflate', '-n', '10',
        ...(cert ? ['--cacert', `${cert}.crt`] : []),
        `${cert ? 'wss' : 'ws'}://localhost:${server.address().port}/`], lines);
    assert.equal(end.status, 0, end.err);
    assert(end.out.equals(Buffer.from(lines)), 'not what was sent');
    assert.match(extensions, /permessage-deflate/);
    server.close();
}

async function main() {
    const certs = HELP.includes('--tls-cert') ? [null, makeCert()] : [null];
    for (const cert of certs) {
        const layer = cert ? 'TLS' : 'TCP';
        const options = cert ? ['--tls-cert', `${cert}.crt`, '--tls-key',
            `${cert}.key`] : [];
        const server = await echo('127.0.0.1:0', '--deflate', ...options);
        const url = `${cert ? 'wss' : 'ws'}://localhost:` +
            server.address.split(':')[1];
        for (const [name, settings] of Object.entries(SETTINGS)) {
            await suite.case(`${layer}, to our server, ${name}`, toServer,
                url, cert, settings);
            await suite.case(`${layer}, to our client, ${name}`, toClient,
                cert, settings);
        }
        await server.stop();
    }
    suite.end();
}

main();
