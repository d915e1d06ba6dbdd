import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addSignatures,
  type CosignerKey,
  cosign,
  cosignerKey,
  cosignerVerifierKey,
} from '@countersign/ledger';
import type { AdministrationEvent, DecisionEvent, Event } from '@countersign/model';
import {
  keyThumbprint,
  publicJwk,
  type RegisteredCredential,
  signMessage,
  type TransactionAssertion,
} from '@countersign/sdk';
import { exchange, writeLog } from '../../../packages/cli/test/records.ts';
import { countersign } from '../../../packages/cli/test/test-io.ts';
import { softwareAuthenticator } from '../../../packages/sdk/test/software-authenticator.ts';
import { recordSealer } from './record-sealer.ts';

/** One evidence file, and what is brought along to verify it; all of them paths. */
export interface EvidenceCase {
  readonly name: string;
  readonly file: string;
  readonly keys: readonly string[];
  readonly authorities: readonly string[];
  readonly content?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  /** What must be found, where the table says it. */
  readonly expected?: 'good' | 'bad' | 'unknown' | undefined;
  isWitness(file: string): boolean;
}

type Entry = {
  role: string;
  index: number;
  entry: string;
  leaf: string;
  proof: string[];
  checkpoint: string;
  timestamps: string[];
};
type File = { format: string; entries: [Entry, ...Entry[]]; verifierKeys: string[] };
type Administration = Omit<AdministrationEvent, 'v' | 'origin' | 'seq'>;
type Signature = NonNullable<DecisionEvent['signature']>;

type Row = readonly [string, EvidenceCase['expected'], Partial<DecisionEvent>];

const PERSON = 'spiffe://bank.example/human/alice';
const CALLER = 'spiffe://bank.example/partner/example';
const URI = 'https://api.bank.example/pay/payments';
const TOKEN = 'e30.e30.c2ln';
const BODY = '{"amount":"5.00"}';
/** After the certificates below are made. */
const AT = Math.floor(Date.now() / 1000 + 60) * 1000;

/** Makes the table: evidence by every kind of key, and each of many ways to damage it. */
export async function evidenceCases(folder: string): Promise<readonly EvidenceCase[]> {
  const at = (name: string) => join(folder, name);
  const openssl = (...words: readonly string[]) =>
    execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const write = (name: string, content: string | Uint8Array) => {
    writeFileSync(at(name), content);
    return at(name);
  };

  // The callers, and what they signed.
  const signers = [
    signer('ec', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    signer('ed25519', generateKeyPairSync('ed25519').privateKey),
    signer('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    signer('odd-rsa', generateKeyPairSync('rsa', { modulusLength: 2049 }).privateKey),
  ];
  function signer(name: string, privateKey: KeyObject) {
    write(`${name}.key`, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const names = `URI:${CALLER},DNS:api.bank.example,IP:127.0.0.1,IP:fe80::1,email:a@bank.example`;
    const subject = '/C=DE/O=Beispiel, "Bank"/CN=caf\u00e9/serialNumber=7';
    openssl(
      ...['req', '-x509', '-utf8', '-key', `${name}.key`, '-out', `${name}.pem`, '-subj', subject],
      ...['-days', '1', '-addext', `subjectAltName=${names}`],
    );
    openssl('x509', '-in', `${name}.pem`, '-outform', 'DER', '-out', `${name}.der`);
    return { name, privateKey, certificate: readFileSync(at(`${name}.der`)) };
  }
  const [ec, ed, rsa] = signers as [
    (typeof signers)[0],
    (typeof signers)[0],
    (typeof signers)[0],
    (typeof signers)[0],
  ];
  openssl('genpkey', '-algorithm', 'RSA-PSS', '-out', 'pss.key');
  openssl('req', '-x509', '-key', 'pss.key', '-out', 'pss.pem', '-subj', '/CN=pss');
  openssl('x509', '-in', 'pss.pem', '-outform', 'DER', '-out', 'pss.der');
  openssl('req', '-x509', '-key', 'ec.key', '-out', 'nobody.pem', '-subj', '/');
  openssl('x509', '-in', 'nobody.pem', '-outform', 'DER', '-out', 'nobody.der');

  const signed = (from: (typeof signers)[0], change: Partial<Signature> = {}) => ({
    signature: { ...signatureOf(from.privateKey, from.certificate), ...change },
  });
  const flipped = (text: string, bit = 3) =>
    flip(Buffer.from(text, 'base64'), bit).toString('base64');
  const ecSigned = signed(ec).signature;
  const approvals = approved();
  const decisions: readonly Row[] = [
    ...signers.map((each) => [`signed by ${each.name}`, 'good', signed(each)] as const),
    ...signers.map(
      (each) =>
        [
          `signed by ${each.name}, one bit of it flipped`,
          'bad',
          signed(each, { value: flipped(signed(each).signature.value) }),
        ] as const,
    ),
    ['signed by nobody', 'unknown', {}],
    ['over another target', 'bad', signed(ec, { base: ecSigned.base.replace('/pay/', '/say/') })],
    ['of another method', 'bad', { ...signed(ec), method: 'PUT' }],
    ['with no route', 'unknown', { ...signed(ec), route: undefined as never }],
    ['of another time', 'bad', { ...signed(ec), at: AT + 120_000 }],
    ['with the certificate of another', 'bad', signed(ec, { certificate: b64(ed.certificate) })],
    [
      'with the certificate of an RSA-PSS key',
      'bad',
      signed(ec, { certificate: b64(readFileSync(at('pss.der'))) }),
    ],
    [
      'with a certificate that names nobody',
      'unknown',
      signed(ec, { certificate: b64(readFileSync(at('nobody.der'))) }),
    ],
    ['with no certificate', 'bad', signed(ec, { certificate: 'AAAA' })],
    [
      'with a cut certificate',
      'bad',
      signed(ec, { certificate: b64(ec.certificate.subarray(0, 200)) }),
    ],
    ['with a key of another', 'bad', signed(ec, { key: signed(ed).signature.key })],
    ['with a key of no curve', 'bad', signed(ec, { key: { ...ecSigned.key, x: 'AAAA' } })],
    ['with a key of a lattice', 'bad', signed(ec, { key: latticeJwk() })],
    ['with a key that agrees only', 'bad', signed(ec, agreement())],
    ['with a token that is withheld', 'unknown', signed(ec, withheld(ec.privateKey))],
    ['with a token and a DPoP proof', undefined, dpopSigned(ec.privateKey)],
    [
      'with a DPoP proof alone',
      'unknown',
      {
        dpop: proofOf(ec.privateKey),
        tokenHash: sha256(TOKEN),
        method: 'POST',
        route: '/payments',
      },
    ],
    [
      'with a DPoP proof, one bit flipped',
      'bad',
      {
        dpop: flipLast(proofOf(ed.privateKey)),
        tokenHash: sha256(TOKEN),
        method: 'POST',
        route: '/payments',
      },
    ],
    [
      'with a DPoP proof by RSA',
      'unknown',
      {
        dpop: proofOf(rsa.privateKey),
        tokenHash: sha256(TOKEN),
        method: 'POST',
        route: '/payments',
      },
    ],
    [
      'with a fault that the point found',
      'bad',
      { ...signed(ec), signatureFault: 'it was replayed' },
    ],
    ...approvals.map(({ name, expected, decision }): Row => [name, expected, decision]),
    // As a point records it: the caller signed, and the person approved.
    [
      'approved by ES256, beside what the caller signed',
      'good',
      { ...approvals[0]?.decision, ...signed(ec), caller: CALLER },
    ],
    [
      'with text that is hostile',
      undefined,
      {
        ...signed(ec),
        detail: '<img src=x onerror=alert(1)>\u202e',
        action: '<script>alert(1)</script>',
        route: '/<b>pay</b>ments',
      },
    ],
  ];
  const edge = await writeLog(
    folder,
    'edge',
    decisions.flatMap(([, , decision], number) =>
      exchange(`e${number}`, AT, {
        method: 'POST',
        route: '/payments',
        subject: CALLER,
        evidence: 'E2',
        ...decision,
      } as Partial<DecisionEvent>),
    ),
  );
  const authority = await writeLog(folder, 'authority', [
    ...signers.map(({ name, certificate }) => ({
      kind: 'administration' as const,
      id: name,
      at: AT - 1000,
      action: 'certificate-registered',
      by: 'system',
      target: CALLER,
      detail: { thumbprint: createHash('sha256').update(certificate).digest('base64url') },
    })),
    ...approvals.flatMap(({ administration }) => administration),
  ]);
  const edgeKey = write('edge.vkey', `${edge.vkey}\n`);
  const authorityKey = write('authority.vkey', `${authority.vkey}\n`);
  const keys = [edgeKey, authorityKey];

  // Witnesses, and who stamps times.
  const witness = [
    cosignerKey({
      name: 'witness.example/w1',
      privateKey: generateKeyPairSync('ed25519').privateKey,
    }),
    cosignerKey({
      name: 'witness.example/w1',
      privateKey: generateKeyPairSync('ml-dsa-44').privateKey,
    }),
  ] as const;
  const witnessFiles = witness.map((key, number) =>
    write(`w${number}.vkey`, `${cosignerVerifierKey(publicOf(key))}\n`),
  );
  const isWitness = (file: string) => witnessFiles.includes(file);
  const authorities = [
    makeTimestamper('stamp-ec', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], 'sha256'),
    makeTimestamper('stamp-p384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'sha384'),
    makeTimestamper('stamp-p521', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'sha512'),
    makeTimestamper('stamp-rsa', ['rsa:2048'], 'sha256'),
  ];
  function makeTimestamper(name: string, algorithm: readonly string[], digest: string) {
    openssl(
      ...['req', '-x509', '-newkey', ...algorithm, '-nodes', '-keyout', `${name}.key`],
      ...['-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '30'],
      ...['-addext', 'extendedKeyUsage=critical,timeStamping'],
    );
    const lines = [
      '[tsa]',
      `serial = ${name}.serial`,
      `signer_cert = ${name}.pem`,
      `signer_key = ${name}.key`,
      `signer_digest = ${digest}`,
      'default_policy = 1.2.3.4',
      'digests = sha256, sha384, sha512',
      'ess_cert_id_chain = no',
    ];
    write(`${name}.cnf`, `${lines.join('\n')}\n`);
    write(`${name}.serial`, '01\n');
    return at(`${name}.pem`);
  }
  function stamp(name: string, note: string): string {
    write('note', note);
    openssl('ts', '-query', '-data', 'note', '-sha256', '-cert', '-out', 'query');
    const options = ['-config', `${name}.cnf`, '-section', 'tsa', '-queryfile', 'query'];
    openssl('ts', '-reply', ...options, '-out', 'reply');
    return readFileSync(at('reply')).toString('base64');
  }

  // The files.
  const made: EvidenceCase[] = [];
  const texts = await Promise.all(
    decisions.map(async (_, number) => {
      const { out } = await countersign(['ledger', 'evidence', `${2 * number}`, '--data', folder]);
      return out;
    }),
  );
  const add = (name: string, text: string, more: Partial<EvidenceCase> = {}) => {
    const file = write(`case-${made.length}.json`, text);
    made.push({ name, file, keys, authorities: [], isWitness, ...more });
  };
  const change = (text: string, edit: (file: File) => void): string => {
    const file: File = JSON.parse(text);
    edit(file);
    return `${JSON.stringify(file, undefined, 2)}\n`;
  };
  for (const [number, [name, expected]] of decisions.entries()) {
    add(name, texts[number] as string, expected && { expected });
  }
  const good = texts[0] as string;
  const withheldText = texts[decisions.findIndex(([name]) => name.includes('withheld'))] as string;
  const tokenFile = write('token', `${TOKEN}\n`);
  add('with the token that is withheld', withheldText, {
    token: TOKEN,
    tokenFile,
    expected: 'good',
  });
  const other = write('other-token', 'e30.e30.b3RoZXI\n');
  add('with another token', withheldText, {
    token: 'e30.e30.b3RoZXI',
    tokenFile: other,
    expected: 'unknown',
  });
  add('with content that was not signed', good, {
    content: write('content', BODY),
    expected: 'bad',
  });

  // What is personal is sealed, and opened for whoever the file is for.
  const sealedFolder = join(folder, 'sealed');
  const { seal, open } = await recordSealer();
  const sealedBodies = exchange('s', AT, {
    ...{ method: 'POST', route: '/payments', evidence: 'E2', ...signed(ec) },
    ...{ subject: PERSON, caller: CALLER },
  } as Partial<DecisionEvent>).map((body, seq) =>
    seal({ v: 1, origin: 'bank.example/edge', seq, ...body } as Event),
  );
  await writeLog(sealedFolder, 'edge', sealedBodies, { privateKey: edge.privateKey });
  await writeLog(sealedFolder, 'authority', authority.events, {
    privateKey: authority.privateKey,
  });
  const { out: closed } = await countersign(['ledger', 'evidence', '0', '--data', sealedFolder]);
  add('sealed, and not opened', closed, { expected: 'unknown' });
  const openedBy = (openings: readonly Uint8Array[]) =>
    change(closed, ({ entries: [subject] }) => {
      Object.assign(subject, { openings: openings.map((each) => b64(Buffer.from(each))) });
    });
  const [decided] = sealedBodies as [Event];
  const openings = open(decided);
  add('sealed, and opened', openedBy(openings));
  add('sealed, and opened by a secret that opens nothing', openedBy([Buffer.alloc(32, 7)]), {
    expected: 'bad',
  });
  add(
    'sealed, and opened by one bit less',
    openedBy(openings.map((each) => flip(Buffer.from(each), 9))),
    {
      expected: 'bad',
    },
  );

  add('with no key', good, { keys: [], expected: 'unknown' });
  add("with the point's key alone", good, { keys: [edgeKey], expected: 'unknown' });
  add("with the authority's key alone", good, { keys: [authorityKey], expected: 'unknown' });
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const forged = await writeLog(join(folder, 'forged'), 'edge', exchange('f', AT), {
    privateKey: stranger,
  });
  add('with the key of another log of this name', good, {
    keys: [write('forged.vkey', `${forged.vkey}\n`), authorityKey],
    expected: 'bad',
  });

  const cosigned = async (text: string, by: readonly CosignerKey[]) => {
    const file: File = JSON.parse(text);
    for (const entry of file.entries) {
      const { checkpoint } = entry;
      const signed = checkpoint.slice(0, checkpoint.lastIndexOf('\n\n') + 1);
      const lines = by.map((key) => cosign(signed, { key, atSeconds: AT / 1000 }));
      entry.checkpoint = addSignatures(checkpoint, await Promise.all(lines));
    }
    return `${JSON.stringify(file, undefined, 2)}\n`;
  };
  const seenByBoth = await cosigned(good, witness);
  add('cosigned by both keys of a witness', seenByBoth, {
    keys: [...keys, ...witnessFiles],
    expected: 'good',
  });
  for (const number of [0, 1] as const) {
    const seen = await cosigned(good, [witness[number]]);
    const own = witnessFiles[number] as string;
    add(`cosigned by key ${number}`, seen, { keys: [...keys, own], expected: 'good' });
    add(`cosigned by key ${number}, which nobody asked for`, seen, { expected: 'good' });
    const damaged = change(seen, ({ entries: [subject] }) => {
      const lines = subject.checkpoint.trimEnd().split('\n');
      const [dash, name, blob = ''] = (lines.pop() as string).split(' ');
      subject.checkpoint = `${[...lines, [dash, name, flipped(blob, 200)].join(' ')].join('\n')}\n`;
    });
    add(`cosigned by key ${number}, one bit flipped`, damaged, {
      keys: [...keys, own],
      expected: 'bad',
    });
  }
  add('cosigned by nobody', good, { keys: [...keys, ...witnessFiles], expected: 'bad' });

  for (const pem of authorities) {
    const name = pem.slice(folder.length + 1, -'.pem'.length);
    const { checkpoint } = (JSON.parse(good) as File).entries[0];
    const token = stamp(name, checkpoint);
    const stamped = (value: string) =>
      change(good, ({ entries: [subject] }) => subject.timestamps.push(value));
    add(`stamped by ${name}`, stamped(token), { authorities: [pem], expected: 'good' });
    add(`stamped by ${name}, whom nobody trusts`, stamped(token), { expected: 'unknown' });
    const others = authorities.filter((each) => each !== pem);
    add(`stamped by ${name}, and others are trusted`, stamped(token), {
      authorities: others,
      expected: 'bad',
    });
    const length = Buffer.from(token, 'base64').length;
    for (let bit = 5; bit < length * 8; bit += Math.ceil((length * 8) / 24)) {
      add(`stamped by ${name}, bit ${bit} flipped`, stamped(flipped(token, bit)), {
        authorities: [pem],
      });
    }
  }

  const damages: readonly [string, (file: File) => void][] = [
    [
      'an entry changed',
      ({ entries: [subject] }) => {
        subject.entry = flipped(subject.entry, 300);
      },
    ],
    [
      'a leaf changed',
      ({ entries: [subject] }) => {
        subject.leaf = flipped(subject.leaf);
      },
    ],
    [
      'a hash of the proof changed',
      ({ entries: [subject] }) => {
        subject.proof[1] = flipped(subject.proof[1] as string);
      },
    ],
    [
      'a hash of the proof left out',
      ({ entries: [subject] }) => {
        subject.proof.pop();
      },
    ],
    [
      'another index',
      ({ entries: [subject] }) => {
        subject.index += 2;
      },
    ],
    [
      'an entry and its leaf changed',
      ({ entries: [subject] }) => {
        const entry = flip(Buffer.from(subject.entry, 'base64'), 300);
        subject.entry = b64(entry);
        subject.leaf = createHash('sha256').update(Buffer.of(0)).update(entry).digest('base64');
      },
    ],
    [
      'another root',
      ({ entries: [subject] }) => {
        const lines = subject.checkpoint.split('\n');
        lines[2] = flipped(lines[2] as string);
        subject.checkpoint = lines.join('\n');
      },
    ],
    [
      'another origin',
      ({ entries: [subject] }) => {
        subject.checkpoint = subject.checkpoint.replace(
          'bank.example/edge\n',
          'bank.example/hedge\n',
        );
      },
    ],
    [
      'a checkpoint that is none',
      ({ entries: [subject] }) => {
        subject.checkpoint = 'no note';
      },
    ],
    [
      'the checkpoint of the other log',
      ({ entries }) => {
        entries[0].checkpoint = (entries.at(-1) as Entry).checkpoint;
      },
    ],
    [
      'no outcome',
      (file) => {
        file.entries.splice(1, 1);
      },
    ],
    [
      'no credential',
      (file) => {
        file.entries.splice(2, 1);
      },
    ],
    [
      'an entry twice',
      ({ entries }) => {
        entries.push({ ...(entries[1] as Entry) });
      },
    ],
    [
      'another role',
      ({ entries }) => {
        (entries[1] as Entry).role = 'witness\u202e';
      },
    ],
    [
      'the outcome first',
      ({ entries }) => {
        entries.reverse();
      },
    ],
    [
      'a key of the file damaged',
      (file) => {
        file.verifierKeys[0] = `${file.verifierKeys[0]}A`;
      },
    ],
    [
      'an entry that is no event',
      ({ entries: [subject] }) => {
        subject.entry = b64(Buffer.from([0xff, 0xfe, 0x7b, 0xef, 0xbb]));
      },
    ],
  ];
  for (const [name, edit] of damages) add(name, change(good, edit));
  for (const [name, edit] of damages)
    add(`${name}, without keys`, change(good, edit), { keys: [] });
  add('another format', good.replace('evidence/v1', 'evidence/v2'), { expected: 'bad' });
  add('another way of writing it', good.replace('{\n', '{ \n'), { expected: 'bad' });
  add('no JSON', 'x', { expected: 'bad' });
  add('nothing', '', { expected: 'bad' });
  add('no UTF-8', Buffer.concat([Buffer.from(good), Buffer.of(0xff)]).toString('latin1'), {
    expected: 'bad',
  });
  return made;
}

/** Decisions that a person approved by each kind of authenticator, or seems to have. */
function approved(): readonly {
  readonly name: string;
  readonly expected: EvidenceCase['expected'];
  readonly decision: Partial<DecisionEvent>;
  readonly administration: readonly Administration[];
}[] {
  const statement = {
    subject: PERSON,
    method: 'POST',
    targetUri: URI,
    amount: '5.00 EUR',
    creditor: 'Caf\u00e9 <b>M\u00fcller</b>',
    createdSeconds: AT / 1000 - 30,
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
  };
  const about = (
    action: string,
    { subject: target, ...detail }: RegisteredCredential,
    at: number,
  ) => ({
    kind: 'administration' as const,
    id: action,
    at,
    action,
    by: 'system',
    target,
    detail: { ...detail, origins: [...detail.origins] },
  });
  return (['ES256', 'EdDSA', 'RS256'] as const).flatMap((kind) => {
    const { credential, approve } = softwareAuthenticator(kind, PERSON);
    const { subject: _person, ...key } = credential;
    const made = (assertion: TransactionAssertion) => ({
      subject: PERSON,
      evidence: 'E3' as const,
      assertion: { ...assertion, ...key, origins: [...key.origins] },
    });
    const good = approve(statement);
    const signature = flip(Buffer.from(good.signature, 'base64url'), 77).toString('base64url');
    const second = softwareAuthenticator(kind, PERSON);
    const { subject: _same, ...secondKey } = second.credential;
    const unknown = { ...secondKey, origins: [...secondKey.origins] };
    return [
      {
        name: `approved by ${kind}`,
        expected: 'good' as const,
        decision: made(good),
        administration: [about('credential-registered', credential, AT - 5000)],
      },
      ...[
        ['one bit flipped', { ...good, signature }],
        ['for another domain', approve(statement, { rpId: 'evil.example' })],
        ['by nobody verified', approve(statement, { flags: 0x01 })],
        [
          'at another origin',
          approve(statement, { clientData: { origin: 'https://evil.example' } }),
        ],
        ['over another target', approve({ ...statement, targetUri: `${URI}/other` })],
        ['long before', approve({ ...statement, createdSeconds: AT / 1000 - 900 })],
      ].map(([what, assertion]) => ({
        name: `approved by ${kind}, ${what}`,
        expected: 'bad' as const,
        decision: made(assertion as TransactionAssertion),
        administration: [],
      })),
      {
        name: `approved by ${kind}, which nobody registered`,
        expected: 'unknown' as const,
        decision: { ...made(good), assertion: { ...second.approve(statement), ...unknown } },
        administration: [],
      },
      withdrawn(kind),
    ];
  });
  function withdrawn(kind: 'ES256' | 'EdDSA' | 'RS256') {
    const { credential, approve } = softwareAuthenticator(kind, PERSON);
    const { subject: _person, ...key } = credential;
    return {
      name: `approved by ${kind}, which was withdrawn`,
      expected: 'bad' as const,
      decision: {
        subject: PERSON,
        evidence: 'E3' as const,
        assertion: { ...approve(statement), ...key, origins: [...key.origins] },
      },
      administration: [
        about('credential-registered', credential, AT - 5000),
        about('credential-withdrawn', credential, AT - 4000),
      ],
    };
  }
}

function signatureOf(
  privateKey: KeyObject,
  certificate: Uint8Array,
  fields: readonly string[] = [],
  components: readonly string[] = ['@method', '@target-uri'],
): Signature {
  const made = signMessage(
    { kind: 'request', method: 'POST', targetUri: URI, fields },
    {
      key: privateKey,
      components,
      parameters: { created: AT / 1000, keyid: 'k', tag: 'countersign-request' },
      label: 'sig',
    },
  );
  return {
    input: made.signatureInput.slice('sig='.length),
    value: made.signature.slice('sig=:'.length, -1),
    algorithm: 'as the key says',
    base: made.base,
    key: publicJwk(privateKey),
    keyThumbprint: keyThumbprint(privateKey),
    keyFrom: 'certificate',
    certificate: b64(certificate),
  };
}

function withheld(privateKey: KeyObject): Partial<Signature> {
  const fields = ['authorization', `Bearer ${TOKEN}`];
  const { base, input, value } = signatureOf(privateKey, Buffer.of(), fields, [
    '@method',
    '@target-uri',
    'authorization',
  ]);
  const hash = sha256(TOKEN);
  return {
    input,
    value,
    base: base.replace(TOKEN, hash),
    withheld: [{ field: 'authorization', sha256: hash }],
  };
}

function dpopSigned(privateKey: KeyObject): Partial<DecisionEvent> {
  const { certificate: _none, ...signature } = signatureOf(
    privateKey,
    Buffer.of(),
    ['dpop', proofOf(privateKey)],
    ['@method', '@target-uri', 'dpop'],
  );
  return { tokenHash: sha256(TOKEN), signature: { ...signature, keyFrom: 'dpop' } };
}

function proofOf(privateKey: KeyObject): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const type = privateKey.asymmetricKeyType as 'ec' | 'ed25519' | 'rsa';
  const alg = { ec: 'ES256', ed25519: 'EdDSA', rsa: 'PS256' }[type];
  const input = `${part({ alg, typ: 'dpop+jwt', jwk: publicJwk(privateKey) })}.${part({
    htm: 'POST',
    htu: URI,
    iat: AT / 1000,
    jti: 'j',
    ath: sha256(TOKEN),
  })}`;
  const message = Buffer.from(input);
  const value = {
    ec: () => sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
    ed25519: () => sign(null, message, privateKey),
    rsa: () => sign('sha256', message, { key: privateKey, padding: 6, saltLength: 32 }),
  }[type]();
  return `${input}.${value.toString('base64url')}`;
}

function latticeJwk(): Record<string, string> {
  const { kty, alg, pub } = generateKeyPairSync('ml-dsa-44').publicKey.export({
    format: 'jwk',
  }) as Record<string, string>;
  return { kty, alg, pub } as Record<string, string>;
}

/** A key for key agreement, under its own thumbprint: it signs nothing. */
function agreement(): Partial<Signature> {
  const { publicKey } = generateKeyPairSync('x25519');
  return { key: publicJwk(publicKey), keyThumbprint: keyThumbprint(publicKey) };
}

function publicOf(key: CosignerKey) {
  const { kind, name, publicKey } = key;
  return { kind, name, publicKey };
}

function flip(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

function flipLast(jws: string): string {
  const [head, claims, value = ''] = jws.split('.');
  return [head, claims, flip(Buffer.from(value, 'base64url'), 17).toString('base64url')].join('.');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
