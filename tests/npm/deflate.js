// SPDX-License-Identifier: MIT
//
// npm's `ws` with one setting of perMessageDeflate. Each line of standard input is sent as a message. Says on standard output,
// a JSON object a line, what was agreed on, and of each message its length, its SHA-256 and the bytes that have come so far.
//
//   NODE_PATH=…/node_modules node deflate.js ws://HOST:PORT/PATH SETTING       SETTING is JSON: true, false, an object
const crypto = require('crypto');
const readline = require('readline');
const WebSocket = require('ws');

const [address, setting] = process.argv.slice(2);
const say = (object) => console.log(JSON.stringify(object));
const socket = new WebSocket(address, { perMessageDeflate: JSON.parse(setting) });
let connection;

socket.on('upgrade', (response) => {
  connection = response.socket;
  say({ extension: response.headers['sec-websocket-extensions'] ?? null });
});
socket.on('open', () => readline.createInterface({ input: process.stdin }).on('line', (line) => socket.send(line)));
socket.on('message', (data) => {
  const hash = crypto.createHash('sha256').update(data).digest('hex');
  say({ length: data.length, hash, wire: connection.bytesRead });
});
socket.on('error', (error) => say({ error: error.message }));
socket.on('close', (code) => say({ close: code }));
