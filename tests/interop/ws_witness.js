// npm's ws talks to a server that tells what it saw of the end.
'use strict';
const { Suite, WITNESS, WebSocket, assert, frame, inbox, once, start } =
    require('./wire.js');

const suite = new Suite('ws witness');

// The lines of the witness, one at a time.
async function line(witness) {
    while (!witness.text(witness.out).includes('\n'))
        await once(witness.stdout, 'data');
    const text = witness.text(witness.out);
    const at = text.indexOf('\n');
    witness.out = [Buffer.from(text.slice(at + 1))];
    return text.slice(0, at);
}

const HERE = { origin: 'http://here' };

async function opened(witness, protocols) {
    const ws = new WebSocket(witness.url, protocols, HERE);
    ws.next = inbox(ws);
    await ws.next('open');
    return ws;
}

async function subprotocol(witness, offered, want) {
    const ws = await opened(witness, offered);
    assert.equal(ws.protocol, want);
    ws.close(1000);
    await ws.next('close');
    assert.equal(await line(witness), 'peer 1000 clean 0 ');
}

async function refused(witness, url, options, status) {
    const next = inbox(new WebSocket(url, options));
    const [why] = await next('error');
    assert.equal(why.message, `Unexpected server response: ${status}`);
    await line(witness);
}

async function close(witness, code, reason) {
    const ws = await opened(witness);
    ws.close(code, reason);
    assert.equal((await ws.next('close'))[0], code);
    assert.equal(await line(witness), `peer ${code} clean 0 ${reason}`);
}

async function abort(witness) {
    const ws = await opened(witness);
    ws._socket.resetAndDestroy();
    assert.match(await line(witness), /^\w+ 1006 unclean E\w+ /);
}

async function badUtf8(witness) {
    const ws = await opened(witness);
    ws._socket.write(frame(1, true, Buffer.from([0xff]), true));
    assert.equal((await ws.next('close'))[0], 1007);
    assert.match(await line(witness), /UTF8/);
}

async function main() {
    const witness = start(WITNESS, []);
    const [, address] = /^listening on (\S+) /.exec(await line(witness));
    witness.url = `ws://${address}/chat`;
    await suite.case('subprotocols, ours first', subprotocol, witness,
        ['chat.v1', 'chat.v2'], 'chat.v2');
    await suite.case('subprotocols, one in common', subprotocol, witness,
        ['mail', 'chat.v1'], 'chat.v1');
    await suite.case('another origin', refused, witness, witness.url,
        { origin: 'http://else' }, 403);
    await suite.case('another path', refused, witness, `${witness.url}s`,
        HERE, 404);
    for (const [code, reason] of [[1000, ''], [1001, 'leaving'],
        [1011, 'oh no'], [3000, '\u00fcber'], [4999, 'x'.repeat(123)]])
        await suite.case(`close ${code}`, close, witness, code, reason);
    await suite.case('abort', abort, witness);
    await suite.case('bad UTF-8', badUtf8, witness);
    suite.end();
}

main();
