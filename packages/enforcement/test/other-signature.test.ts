import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import {
  certificateThumbprint,
  createX509Authority,
  decodePem,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { p256, TRUST_DOMAIN } from '../../spiffe/test/support.ts';
import { twinOf } from '../../spiffe/test/twin-certificate.ts';
import { type Bank, openBank, PAYMENTS, type Presented } from './bank.ts';

// A certificate that was signed with ECDSA has two signatures, and anybody can make the other of the one. Its hash is another.

let bank: Bank;
beforeEach(async () => {
  bank = await openBank();
});
afterEach(() => bank.close());

/** What whoever has the key and the certificate can show as well. */
function twin(shown: Presented): Presented {
  const [leaf = new Uint8Array(), ...more] = decodePem(shown.certPem);
  const other = twinOf(leaf);
  return {
    ...shown,
    certPem: encodePem([other, ...more]),
    thumbprint: certificateThumbprint(other),
  };
}

function revocation(value: string): Fact {
  const atMs = bank.now();
  const untilMs = atMs + 600_000;
  return { kind: 'revocation', target: 'certificate', value, reason: 'test', atMs, untilMs };
}

const openOf = ({ thumbprint }: Presented): number =>
  bank.point.channels
    .list()
    .filter(({ kind, certificate }) => kind === 'connection' && certificate === thumbprint).length;
const turn = () => new Promise((resolve) => setImmediate(resolve));
const reasonOf = async (got: Awaited<ReturnType<Bank['call']>>) =>
  (await bank.record(got.problem.eventId)).decision?.reason;

describe.each(['its own', 'the other'] as const)(
  'a certificate that is revoked by the hash of %s signature',
  (which) => {
    const revoke = (shown: Presented): void =>
      bank.change([revocation((which === 'its own' ? shown : twin(shown)).thumbprint)]);

    test('is refused with either on the mesh', async () => {
      const svid = await bank.svid(PAYMENTS);
      const path = '/accounts-api/accounts/1';
      for (const as of [svid, twin(svid)]) {
        expect((await bank.call({ listener: 'mesh', as, path })).status).toBe(200);
      }
      revoke(svid);
      for (const as of [svid, twin(svid)]) {
        const got = await bank.call({ listener: 'mesh', as, path });
        expect([got.status, await reasonOf(got)]).toEqual([401, 'certificate-revoked']);
      }
    });

    test('is refused with either within a transaction', async () => {
      const svid = await bank.svid(PAYMENTS);
      revoke(svid);
      for (const as of [svid, twin(svid)]) {
        const headers = { 'Txn-Token': bank.txnToken() };
        const got = await bank.call({ listener: 'mesh', as, headers });
        expect([got.status, await reasonOf(got)]).toEqual([401, 'certificate-revoked']);
      }
    });

    test('is refused at the edge with a token that is bound to it', async () => {
      const partner = await bank.partner('ledgerly');
      const token = bank.token({ cnf: { 'x5t#S256': partner.thumbprint } });
      expect((await bank.call({ as: partner, token })).status).toBe(200);
      revoke(partner);
      const got = await bank.call({ as: partner, token });
      expect([got.status, await reasonOf(got)]).toEqual([401, 'certificate-revoked']);
    });

    test('loses the connections that were opened with either', async () => {
      const svid = await bank.svid(PAYMENTS);
      for (const as of [svid, twin(svid)]) {
        bank.change([], [`revocation certificate ${svid.thumbprint}`]);
        bank.change([], [`revocation certificate ${twin(svid).thumbprint}`]);
        const socket = await bank.tls({ listener: 'mesh', as });
        socket.on('error', () => {}).resume();
        const closed = once(socket, 'close');
        while (openOf(as) === 0) await turn();
        revoke(svid);
        // At once: what nobody uses is closed after a while anyway.
        expect(openOf(as)).toBe(0);
        await closed;
      }
    });
  },
);

test('a token is bound to the certificate with the one signature, and not to the other', async () => {
  const partner = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': partner.thumbprint } });
  const got = await bank.call({ as: twin(partner), token });
  expect([got.status, await reasonOf(got)]).toEqual([401, 'token-binding']);
});

describe('an authority below an upstream that is taken back', () => {
  async function belowRoot() {
    const now = Date.now;
    const options = { trustDomain: TRUST_DOMAIN, now };
    const root = await createX509Authority({ ...options, signer: softwareSigner(p256()) });
    const [keys, leaf] = [p256(), p256()];
    const { chain } = await root.issueIntermediate({ publicKey: keys.publicKey, ttlSeconds: 3600 });
    const [certificate = new Uint8Array(), ...intermediates] = chain;
    const signer = softwareSigner(keys);
    const issuing = await createX509Authority({ ...options, signer, certificate, intermediates });
    const svid = await issuing.issueSvid({
      ...{ spiffeId: parseSpiffeId(PAYMENTS), publicKey: leaf.publicKey, ttlSeconds: 600 },
    });
    bank.change([
      {
        ...{ kind: 'trust-bundle', trustDomain: TRUST_DOMAIN },
        x509Authorities: [root, bank.authority].map(({ certificate }) =>
          Buffer.from(certificate).toString('base64'),
        ),
      },
    ]);
    const shown = (certificates: readonly Uint8Array[]): Presented => ({
      certPem: encodePem(certificates),
      keyPem: leaf.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
      thumbprint: certificateThumbprint(certificates[0] ?? new Uint8Array()),
    });
    const [first = new Uint8Array(), issuer = new Uint8Array(), ...more] = svid.chain;
    return {
      issuer: certificateThumbprint(issuer),
      plain: shown(svid.chain),
      flipped: shown([first, twinOf(issuer), ...more]),
    };
  }
  const path = '/accounts-api/accounts/1';

  test('is refused with either of its signatures', async () => {
    const { issuer, plain, flipped } = await belowRoot();
    for (const as of [plain, flipped]) {
      expect((await bank.call({ listener: 'mesh', as, path })).status).toBe(200);
    }
    bank.change([revocation(issuer)]);
    for (const as of [plain, flipped]) {
      const got = await bank.call({ listener: 'mesh', as, path });
      expect([got.status, await reasonOf(got)]).toEqual([401, 'certificate-invalid']);
    }
  });

  test('loses the connections that were opened by it, though the bundle is the same', async () => {
    const { issuer, plain, flipped } = await belowRoot();
    const sockets = await Promise.all(
      [plain, flipped].map((as) => bank.tls({ listener: 'mesh', as })),
    );
    const closed = sockets.map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
    while (openOf(plain) < 2) await turn();
    bank.change([revocation(issuer)]);
    expect(openOf(plain)).toBe(0);
    await Promise.all(closed);
  });
});
