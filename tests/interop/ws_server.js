// sonicio connect, and the client of an example, talk to npm's ws.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { SIZES, Suite, TOOL, WS_ECHO, WebSocket, assert, frame, once, run } =
    require('./wire.js');

const suite = new Suite('ws server');
const CLOSES = {
    '/normal': [1000, 'that was all'],
    '/away': [1001, ''],
    '/internal': [1011, 'oh no'],
    '/app': [4001, '\u00fcber'],
    '/long': [4002, 'x'.repeat(123)],
};

// What each path asks for; after it comes an echo.
const ACTS = {
    '/abort': (ws) => ws._socket.resetAndDestroy(),
    '/utf8': (ws) =>
        ws._socket.write(frame(1, true, Buffer.from([97, 0xff]), false)),
    '/1001-bytes': (ws) => ws.send(Buffer.alloc(1001)),
    '/headers': (ws, { headers }) =>
        ws.send(`${headers.origin} ${headers['x-colour']}`),
    '/fragments': (ws) => {
        for (const part of ['many', '', ' short'])
            ws.send(part, { fin: false });
        ws.send(' parts', { fin: true });
        ws._socket.write(frame(1, false, Buffer.from([0xe2, 0x82]), false));
        ws.ping('between');
        ws._socket.write(frame(0, true, Buffer.from([0xac]), false));
        for (let i = 0; i < 10; i++)
            ws.send(Buffer.alloc(70000, 'x'), { fin: i === 9 });
    },
    '/1000': (ws) => {
        for (let i = 0; i < 1000; i++)
            ws.send(`message ${i}`);
    },
    '/ping': (ws) => {
        let pongs = 0;
        ws.on('pong', (data) => {
            assert.equal(String(data), `${pongs}`.repeat(60));
            if (++pongs === 100)
                ws.send('all pongs came');
        });
        for (let i = 0; i < 100; i++)
            ws.ping(`${i}`.repeat(60));
    },
    '/pinged': (ws) => {
        let pings = 0;
        ws.on('ping', () => {
            if (++pings === 3)
                ws.send('three pings came');
        });
    },
};

// A server at a URL; ends() is how the next connection ended.
async function listen(at, options) {
    const server = http.createServer();
    const wss = new WebSocket.Server({ server, maxPayload: 0, ...options });
    const ends = [];
    const waiting = [];
    wss.on('connection', (ws, request) => {
        const seen = [];
        ws.on('error', () => {});
        ws.on('message', (data, isBinary) => {
            seen.push([isBinary, data.length]);
            ws.send(data, { binary: isBinary });
        });
        ws.on('close', (code, reason) => {
            const end = { code, reason: String(reason), seen };
            if (waiting.length > 0)
                waiting.shift()(end);
            else
                ends.push(end);
        });
        if (CLOSES[request.url])
            ws.close(...CLOSES[request.url]);
        else if (ACTS[request.url])
            ACTS[request.url](ws, request);
    });
    server.listen(at);
    await once(server, 'listening');
    return {
        url: typeof at === 'string' ? `ws+unix:${at}`
            : `ws://127.0.0.1:${server.address().port}`,
        ends: async () => ends.length > 0 ? ends.shift()
            : new Promise((resolve) => waiting.push(resolve)),
    };
}

async function talk(args, input = '', status = 0) {
    const end = await run(TOOL, ['connect', ...args], input);
    assert.equal(end.status, status, `exit status ${end.status}: ${end.err}`);
    return end;
}

function same(got, want) {
    assert(got.equals(Buffer.from(want)), `not what was sent: ${got.length}`);
}

async function sizes(peer, binary) {
    const line = Buffer.from('\n');
    const messages = SIZES.map((n) => Buffer.alloc(n, 'text'));
    const lines = Buffer.concat(messages.flatMap((m) => [m, line]));
    const { out } = await talk([...(binary ? ['-b'] : []), '-n',
        `${messages.length}`, peer.url], lines);
    same(out, binary ? Buffer.concat(messages) : lines);
    assert.deepEqual(await peer.ends(), {
        code: 1000, reason: '', seen: SIZES.map((n) => [binary, n]) });
}

async function fragments(peer) {
    const { out } = await talk(['-b', '-n', '3', `${peer.url}/fragments`]);
    same(out, `many short parts\n\u20ac\n${'x'.repeat(700000)}`);
    assert.equal((await peer.ends()).code, 1000);
}

async function pipelined(peer) {
    let want = '';
    for (let i = 0; i < 1000; i++)
        want += `message ${i}\n`;
    same((await talk(['-n', '1000', `${peer.url}/1000`])).out, want);
    await peer.ends();
    same((await talk(['-n', '1000', peer.url], want)).out, want);
    assert.equal((await peer.ends()).seen.length, 1000);
}

async function one(peer, where, want, ...args) {
    const { out, err } = await talk(['-n', '1', ...args, peer.url + where]);
    same(out, `${want}\n`);
    assert.equal((await peer.ends()).code, 1000);
    return err;
}

async function pings(peer) {
    await one(peer, '/ping', 'all pongs came');
    assert.match(await one(peer, '/pinged', 'three pings came', '--ping',
        '0.01'), /pong after /);
}

async function subprotocol() {
    const peer = await listen(0, { handleProtocols: (offered) =>
        offered.has('chat.v1') ? 'chat.v1' : false });
    const { err } = await talk(['-s', 'chat.v2', '-s', 'chat.v1', '-w', '0',
        peer.url]);
    assert.match(err, /, subprotocol chat\.v1\n/);
    await peer.ends();
    assert.doesNotMatch((await talk(['-s', 'mail', '-w', '0', peer.url])).err,
        /subprotocol/);
}

// One that was not offered must be refused, RFC 6455 section 4.1.
async function wrongSubprotocol() {
    const peer = await listen(0, { handleProtocols: () => 'other' });
    const { err } = await talk(['-s', 'chat', peer.url], '', 1);
    assert.match(err, /cannot connect/);
}

async function closeByServer(peer, where) {
    const [code, reason] = CLOSES[where];
    const { err } = await talk([peer.url + where], '', code === 1011 ? 1 : 0);
    assert(err.includes(`closed by the peer: ${code} `), err);
    assert(err.includes(reason), err);
    // RFC 6455 section 5.5.1: the code comes back; the reason need not
    assert.deepEqual(await peer.ends(), { code, reason: '', seen: [] });
}

async function closeByClient(peer) {
    const { err } = await talk(['-w', '0', peer.url], 'one\ntwo\n');
    assert.match(err, /closed by us: 1000 /);
    assert.deepEqual(await peer.ends(),
        { code: 1000, reason: '', seen: [[false, 3], [false, 3]] });
}

async function abort(peer) {
    const { err } = await talk(['-w', '20', `${peer.url}/abort`], '', 1);
    assert.match(err, /not closed cleanly: 1006 /);
    assert.equal((await peer.ends()).code, 1006);
}

async function refused(peer, where, code, ...args) {
    const { err } = await talk([...args, peer.url + where], '', 1);
    assert(err.includes(`${code} `), err);
    assert.equal((await peer.ends()).code, code);
}

async function tooBigForServer() {
    const peer = await listen(0, { maxPayload: 1000 });
    const { err } = await talk(['-n', '1', peer.url], `${'x'.repeat(1001)}\n`,
        1);
    assert.match(err, /closed by the peer: 1009 /);
    await peer.ends();
}

async function forbidden() {
    const peer = await listen(0, {
        verifyClient: (_, done) => done(false, 403) });
    assert.match((await talk([peer.url], '', 1)).err, /status 403/);
}

async function unix() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
    try {
        const peer = await listen(path.join(folder, 'peer.sock'));
        same((await talk(['-n', '1', peer.url], 'line\n')).out, 'line\n');
        const { out } = await talk(['-n', '1', `${peer.url}:/ping`]);
        same(out, 'all pongs came\n');
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

async function example() {
    const peer = await listen(0);
    const { status, out, err } = await run(WS_ECHO, ['client', `${peer.url}/`]);
    assert.equal(status, 0, err);
    same(out, 'got hello\nclosed: clean, code 1000, that was all\n');
    assert.deepEqual(await peer.ends(),
        { code: 1000, reason: 'that was all', seen: [[false, 5]] });
}

async function main() {
    const peer = await listen(0);
    await suite.case('all sizes, text', sizes, peer, false);
    await suite.case('all sizes, binary', sizes, peer, true);
    await suite.case('fragments', fragments, peer);
    await suite.case('1000 pipelined', pipelined, peer);
    await suite.case('pings and pongs', pings, peer);
    await suite.case('subprotocols', subprotocol);
    await suite.case('a subprotocol that was not offered', wrongSubprotocol);
    await suite.case('fields of the request', one, peer, '/headers',
        'http://here deep blue', '-o', 'http://here', '-H',
        'X-Colour: deep blue');
    for (const where of Object.keys(CLOSES))
        await suite.case(`close by the server, ${CLOSES[where][0]}`,
            closeByServer, peer, where);
    await suite.case('close by the client', closeByClient, peer);
    await suite.case('aborted transport', abort, peer);
    await suite.case('bad UTF-8', refused, peer, '/utf8', 1007);
    await suite.case('over our limit', refused, peer, '/1001-bytes', 1009,
        '--max-message', '1000');
    await suite.case("over the server's limit", tooBigForServer);
    await suite.case('refused with 403', forbidden);
    await suite.case('unix socket', unix);
    await suite.case('examples/ws_echo', example);
    suite.end();
}

main();
