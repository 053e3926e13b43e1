// SPDX-License-Identifier: MIT
//
// Servers as others write them, for the client library: a WebSocket server on npm's `ws`, which echoes, and Server-Sent Events
// on node's http. Says its port on standard output, and then the close codes of clients.
//
//   NODE_PATH=…/node_modules node server.js [CERTIFICATE KEY]       with these files by TLS
const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocketServer } = require('ws');

function answer(request, response) {
  if (request.url === '/moved') {
    response.writeHead(302, { Location: '/events' }).end();
    return;
  }
  const last = Number(request.headers['last-event-id'] ?? 0);
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write(`retry: 10\n\n: hello\n\nevent: tick\nid: ${last + 1}\ndata: ${last + 1}\ndata: of node\n\n`);
  setTimeout(() => response.end(), 50);
}

const [certificate, key] = process.argv.slice(2);
const server = certificate ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, answer)
  : http.createServer(answer);

const sockets = new WebSocketServer({ server, path: '/echo', handleProtocols: (names) => names.has('chat.v1') && 'chat.v1' });
sockets.on('connection', (socket) => {
  socket.ping('are you there');
  socket.on('pong', (data) => console.log(`pong ${data}`));
  socket.on('close', (code, reason) => console.log(`close ${code} ${reason}`));
  socket.on('message', (data, isBinary) => {
    if (data.toString() === 'leave') socket.close(1000, 'as you like');
    else if (data.toString() === 'large') socket.send('x'.repeat(300000));
    else if (data.toString() === 'fragments') {
      socket.send('in ', { fin: false });
      socket.send('fragments', { fin: true });
    } else socket.send(data, { binary: isBinary });
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
