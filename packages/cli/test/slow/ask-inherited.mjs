// Asks the Workload API over the connection that is file descriptor 3, each time the file of the argument is changed, and
// prints what it says. Not by standard input: that ends with the process that was started first.

import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { Socket } from 'node:net';

const socket = new Socket({ fd: 3, readable: true, writable: true });
const session = connect('http://localhost', { createConnection: () => socket });
let asked = '';
setInterval(() => {
  const asking = readFileSync(process.argv[2], 'utf8');
  if (asking === asked) return;
  asked = asking;
  const stream = session.request({
    ':method': 'POST',
    ':path': '/SpiffeWorkloadAPI/FetchX509SVID',
    'content-type': 'application/grpc',
    te: 'trailers',
    'workload.spiffe.io': 'true',
  });
  stream.on('response', (headers) => {
    if (headers['grpc-status'] !== undefined) console.log(`status ${headers['grpc-status']}`);
  });
  stream.on('data', () => {
    console.log('an identity');
    stream.close();
  });
  stream.on('trailers', (trailers) => console.log(`status ${trailers['grpc-status']}`));
  stream.end(Buffer.alloc(5));
}, 20);
// Its end is the test's.
session.on('close', () => process.exit());
console.log('ready');
