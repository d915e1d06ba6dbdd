import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  formatTransactionAssertion,
  formatTransactionStatement,
  parseTransactionAssertion,
  type RegisteredCredential,
  type TransactionAssertion,
  type TransactionStatement,
  transactionChallenge,
  verifyAssertion,
} from '@countersign/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrowserPage, isBrowserThere, openBrowserPage } from './support/chromium.ts';
import { makeFolder, type TestFolder } from './support/data-folder.ts';

const SUBJECT = 'spiffe://bank.example/human/alice';
/** Browsers let a page of localhost have authenticators, without TLS. */
const RP_ID = 'localhost';

// Chromium's own WebAuthn, with its virtual authenticators: none of what makes these assertions is ours.
describe.skipIf(!isBrowserThere('assertions by the authenticators of a browser'))(
  "an assertion by a browser's authenticator",
  () => {
    let folder: TestFolder;
    let browser: BrowserPage;
    let server: Server;
    let origin: string;

    beforeAll(async () => {
      folder = makeFolder('authenticator');
      server = createServer((_request, response) => {
        response.setHeader('content-type', 'text/html').end('<!doctype html><title>pay</title>');
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const { port } = server.address() as AddressInfo;
      origin = `http://localhost:${port}`;
      browser = await openBrowserPage(`${folder.path}/profile`);
      await browser.open(origin);
      await browser.call('WebAuthn.enable');
    });

    afterAll(async () => {
      await browser?.close();
      server?.close();
      await folder?.remove();
    });

    async function withAuthenticator<T>(
      options: Readonly<Record<string, unknown>>,
      run: () => Promise<T>,
    ): Promise<T> {
      const { authenticatorId } = await browser.call<{ authenticatorId: string }>(
        'WebAuthn.addVirtualAuthenticator',
        {
          options: {
            protocol: 'ctap2',
            transport: 'internal',
            hasResidentKey: true,
            hasUserVerification: true,
            isUserVerified: true,
            automaticPresenceSimulation: true,
            ...options,
          },
        },
      );
      try {
        return await run();
      } finally {
        await browser.call('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
      }
    }

    /** Registers, and gives what the registration is made of: the COSE key stands in the authenticator data. */
    async function register(algorithm: number): Promise<RegisteredCredential> {
      const { id, data } = await browser.evaluate<{ id: string; data: string }>(`(async () => {
        const made = await navigator.credentials.create({ publicKey: {
          rp: { id: '${RP_ID}', name: 'bank' },
          user: { id: new Uint8Array(16), name: 'alice', displayName: 'Alice' },
          challenge: new Uint8Array(32),
          pubKeyCredParams: [{ type: 'public-key', alg: ${algorithm} }],
          authenticatorSelection: { userVerification: 'discouraged' },
        } });
        const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
        return { id: made.id, data: text(made.response.getAuthenticatorData()) };
      })()`);
      const bytes = Buffer.from(data, 'base64');
      // WebAuthn §6.5.1: AAGUID, length of the ID, the ID, the key; nothing follows where there are no extensions.
      const idLength = bytes.readUInt16BE(53);
      return {
        credentialId: id,
        publicKey: bytes.subarray(55 + idLength).toString('base64url'),
        rpId: RP_ID,
        origins: [origin],
        subject: SUBJECT,
      };
    }

    async function approve(
      credential: RegisteredCredential,
      statement: TransactionStatement,
      userVerification = 'required',
    ): Promise<TransactionAssertion> {
      const text = formatTransactionStatement(statement);
      const found = await browser.evaluate<Omit<TransactionAssertion, 'statement'>>(`(async () => {
        const bytes = (text) => Uint8Array.from(
          atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
        const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
          .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
        const { id, response } = await navigator.credentials.get({ publicKey: {
          challenge: bytes('${transactionChallenge(text)}'),
          rpId: '${RP_ID}',
          allowCredentials: [{ type: 'public-key', id: bytes('${credential.credentialId}') }],
          userVerification: '${userVerification}',
        } });
        return {
          credentialId: id,
          authenticatorData: text(response.authenticatorData),
          clientDataJson: text(response.clientDataJSON),
          signature: text(response.signature),
        };
      })()`);
      return { statement: text, ...found };
    }

    const statement = (): TransactionStatement => ({
      subject: SUBJECT,
      method: 'POST',
      targetUri: 'https://api.bank.example/payments',
      amount: '5.00 EUR',
      creditor: 'Bob',
      createdSeconds: Math.floor(Date.now() / 1000),
      nonce: randomBytes(16).toString('base64url'),
    });

    test.each([
      ['ES256', -7, 'ctap2'],
      ['EdDSA', -8, 'ctap2'],
      ['RS256', -257, 'ctap2'],
    ] as const)(
      'by %s is verified, and refused when anything about it is another',
      async (name, algorithm, protocol) => {
        await withAuthenticator({ protocol }, async () => {
          const credential = await register(algorithm);
          const first = await approve(credential, statement());
          const found = verifyAssertion(first, credential);
          expect(found).toMatchObject({
            kind: 'verified',
            algorithm: name,
            origin,
            isUserPresent: true,
            isUserVerified: true,
            isBackedUp: false,
          });
          expect(parseTransactionAssertion(formatTransactionAssertion(first))).toEqual(first);
          const second = await approve(credential, statement());
          const again = verifyAssertion(second, credential);
          if (found.kind !== 'verified' || again.kind !== 'verified')
            throw new Error('not verified');
          expect(again.signCount).toBeGreaterThan(found.signCount);
          const detailOf = (
            assertion: TransactionAssertion,
            change: Partial<RegisteredCredential> = {},
          ) => {
            const other = verifyAssertion(assertion, { ...credential, ...change });
            return other.kind === 'unfit' ? other.detail : other.kind;
          };
          expect(detailOf({ ...first, statement: second.statement })).toBe(
            'it is over another transaction',
          );
          expect(detailOf({ ...first, signature: second.signature })).toBe(
            'the signature is not of the registered key',
          );
          expect(detailOf({ ...first, authenticatorData: second.authenticatorData })).toBe(
            'the signature is not of the registered key',
          );
          expect(detailOf(first, { rpId: 'bank.example' })).toBe("it is not for 'bank.example'");
          expect(detailOf(first, { origins: ['https://bank.example'] })).toBe(
            'it was made at another origin than https://bank.example',
          );
          const other = await register(algorithm);
          expect(detailOf(first, { publicKey: other.publicKey })).toBe(
            'the signature is not of the registered key',
          );
          expect(detailOf(first, other)).toBe('it is by another credential');
        });
      },
    );

    test('of a person whom the authenticator did not verify does not count', async () => {
      await withAuthenticator({ hasUserVerification: false, isUserVerified: false }, async () => {
        const credential = await register(-7);
        const assertion = await approve(credential, statement(), 'discouraged');
        expect(verifyAssertion(assertion, credential)).toEqual({
          kind: 'unfit',
          detail: 'the authenticator did not verify the person',
        });
      });
    });

    test('by a key that is backed up says so', async () => {
      await withAuthenticator(
        { ctap2Version: 'ctap2_1', defaultBackupEligibility: true, defaultBackupState: true },
        async () => {
          const credential = await register(-7);
          expect(verifyAssertion(await approve(credential, statement()), credential)).toMatchObject(
            {
              kind: 'verified',
              isBackupEligible: true,
              isBackedUp: true,
            },
          );
        },
      );
    });
  },
);
