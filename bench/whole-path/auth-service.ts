// The other side of the comparison: a small Node service as banks write it for nginx's auth_request. It verifies the
// token with jose on every request, its audience and issuer, and that it is bound to the client's certificate. With
// `isCaching` it keeps what it verified until that ends, as a careful one may.
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose';

const { port, jwksFile, issuer, audience, isCaching } = JSON.parse(process.argv[2] ?? '{}');
const keys = createLocalJWKSet(JSON.parse(readFileSync(jwksFile, 'utf8')));
const thumbprints = new Map<string, string>();
const verified = new Map<string, JWTPayload>();

createServer(async (request, response) => {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const payload = (isCaching && stillGood(token)) || (await verify(token));
    const certificate = String(request.headers['x-client-cert'] ?? '');
    const bound = (payload['cnf'] as { 'x5t#S256'?: string } | undefined)?.['x5t#S256'];
    response.writeHead(bound === thumbprintOf(certificate) ? 204 : 403).end();
  } catch {
    response.writeHead(401).end();
  }
}).listen(port, '127.0.0.1', () => process.stdout.write('{"ready":true}\n'));

// Its end tells that the benchmark is gone, however it went.
process.stdin.resume().once('end', () => process.exit());

function stillGood(token: string): JWTPayload | undefined {
  const payload = verified.get(token);
  return payload && Number(payload.exp) * 1000 > Date.now() ? payload : undefined;
}

async function verify(token: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' });
  if (isCaching) verified.set(token, payload);
  return payload;
}

function thumbprintOf(escaped: string): string {
  const known = thumbprints.get(escaped);
  if (known !== undefined) return known;
  const { raw } = new X509Certificate(decodeURIComponent(escaped));
  const thumbprint = createHash('sha256').update(raw).digest('base64url');
  thumbprints.set(escaped, thumbprint);
  return thumbprint;
}
