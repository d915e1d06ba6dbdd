import { createHash } from 'node:crypto';
import type { Clock, Fact } from '@countersign/model';
import { certificateThumbprint, parseSpiffeId, type X509Svid } from '@countersign/spiffe';
import type { Database, FactLog, Transaction } from '@countersign/state';
import type { Authorities } from './authorities/authorities.ts';
import type { Attested } from './joining/attestation.ts';
import { behindOf, keyHash, noteJoin, refuseHeld } from './joining/held-credentials.ts';
import { consumeToken, findToken } from './joining/join-tokens.ts';
import type { Recorder } from './new-event.ts';
import { handedOutSeconds } from './nodes/handed-out.ts';
import { ALARMS, type Refusal, refusal } from './refusal.ts';
import type { Registry } from './registry.ts';
import type { Revocations } from './revocations.ts';
import type { Serial } from './serial.ts';
import {
  type PointKeys,
  REQUEST_AGE_SECONDS_MAX,
  type SvidRequest,
  verifySvidRequest,
} from './svid-request.ts';
import type { IdentityTables } from './tables.ts';

/** An SVID, and when to come for the next one. */
export interface SvidGrant {
  readonly isGranted: true;
  readonly spiffeId: string;
  /** DER in base64, leaf first. */
  readonly chain: readonly string[];
  /** DER in base64: the X.509 authorities of the trust domain. */
  readonly authorities: readonly string[];
  /** Of the bundle that they are of. */
  readonly bundleSequence: number;
  /** SHA-256 (base64url) of authorities that are refused although the bundle leads to them. */
  readonly refusedAuthorities: readonly string[];
  readonly notAfterMs: number;
  readonly renewAfterMs: number;
  /** By what the subject joined, in words for its people; absent of a renewal. */
  readonly joinedBy?: string;
}

/** Who is at the other end of a control connection, by its SVID, verified. */
export interface ControlPeer {
  readonly spiffeId: string;
  /** SHA-256 over the leaf's DER, base64url. */
  readonly thumbprint: string;
  /** Its SVID is of an authority that is tainted: good for its own renewal, and nothing else. */
  readonly isTainted?: boolean;
}

/** Names and addresses that an SVID carries beside its SPIFFE ID. */
export interface HostNames {
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

interface SvidsOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly authorities: Authorities;
  readonly record: Recorder;
  readonly serial: Serial;
  readonly now: Clock;
  readonly svidTtlSeconds: number;
  readonly hostNamesOf: (spiffeId: string) => HostNames;
  readonly random: () => number;
}

const CLEANUP_ROWS = 100;
const OWN_TTL_SECONDS = 3600;

/** What a check found: a request that may be granted, for whom, and what granting it uses up. */
/** What stands in the table beside an SVID that was issued. */
interface Kept {
  /** Which X.509 authority issued it. */
  readonly authority: string;
  /** The node that it is handed to for a workload of its. */
  readonly node?: string | undefined;
  /** What its holder joined with, and the SHA-256 of its key then. */
  readonly behind?: { readonly credential: string; readonly keyHash: string };
}

interface Grantable {
  readonly request: SvidRequest;
  readonly spiffeId: string;
  readonly via: 'join-token' | 'renewal' | 'node' | Attested['kind'];
  /** What it joined with, for the record. */
  readonly joined?: Attested;
  /** The node that asked; else whom it is for. */
  readonly by?: string;
  /** What stands behind it, and behind what is renewed of it. */
  readonly credential?: string;
  readonly consume: (transaction: Transaction) => Promise<void>;
}

/** Or why not, and to whom, if that is proved. */
interface Refused {
  readonly request: Refusal;
  readonly spiffeId?: string;
}

type Checked = Grantable | Refused;

function isGrantable(checked: Checked): checked is Grantable {
  return checked.request.isGranted;
}

/** Grants SVIDs against join tokens and older SVIDs. */
export class Svids {
  readonly #options: SvidsOptions;

  constructor(options: SvidsOptions) {
    this.#options = options;
  }

  /** The first SVID, against a join token. */
  async enrol(asked: { joinToken: string; request: string }): Promise<SvidGrant | Refusal> {
    const { joinToken } = asked;
    const { database, now } = this.#options;
    const consume = (transaction: Transaction) =>
      consumeToken(transaction, { joinToken, nowMs: now() });
    return this.#checkThenGrant(async () => {
      const token = await findToken(database, { joinToken, nowMs: now() });
      if (!token.isGranted) return { request: token };
      const { spiffeId } = token;
      const request = await this.#verify(asked.request, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      return { request, spiffeId, via: 'join-token', consume };
    });
  }

  /** The first SVID, or another after that ended, for whom `attest` proves; it is called again when it is the caller's turn. */
  async enrolAttested(jws: string, attest: () => Attested | Refusal): Promise<SvidGrant | Refusal> {
    const { database, registry, revocations, now } = this.#options;
    return this.#checkThenGrant(async () => {
      const attested = attest();
      if (!attested.isGranted) return { request: attested };
      const { spiffeId, credential, kind } = attested;
      const request = await this.#verify(jws, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      const { publicKey } = request;
      const refused = await refuseHeld(database, {
        ...{ credential, spiffeId, publicKey, nowMs: now() },
        isRevoked: (thumbprint) => revocations.covers('certificate', thumbprint),
        isRegistered: (id) => registry.subject(id) !== undefined,
      });
      if (refused) return { request: refused, spiffeId };
      const consume = (transaction: Transaction) =>
        noteJoin(transaction, { credential, spiffeId, nowMs: now() });
      return { request, spiffeId, via: kind, joined: attested, credential, consume };
    });
  }

  /** The next SVID, against the current one. */
  async renew(
    asked: { request: string },
    peer: ControlPeer | undefined,
  ): Promise<SvidGrant | Refusal> {
    if (peer === undefined) return this.#refuse(refusal('peer-missing', 'found no SVID'));
    const { spiffeId, thumbprint } = peer;
    return this.#checkThenGrant(async () => {
      const { database, revocations } = this.#options;
      const { credential, revoked } = await behindOf(database, { thumbprint, revocations });
      const refused =
        revoked === undefined
          ? peer.isTainted && (await this.#refuseForged(peer))
          : refusal('certificate-revoked', `found ${revoked}`);
      const request = refused || (await this.#verify(asked.request, spiffeId));
      if (!request.isGranted) return { request, spiffeId };
      const consume = async () => {};
      return { request, spiffeId, via: 'renewal', consume, ...(credential && { credential }) };
    });
  }

  /** Whoever has the key of a tainted authority makes SVIDs that look like ours; which we made ourselves, we know. */
  async #refuseForged(peer: ControlPeer): Promise<Refusal | undefined> {
    if (await this.wasIssued(peer)) return undefined;
    return refusal('certificate-revoked', `found ${peer.thumbprint}, which was never issued`);
  }

  /** A thumbprint is of one certificate: no key makes another with the same. */
  async wasIssued({
    spiffeId,
    thumbprint,
  }: Pick<ControlPeer, 'spiffeId' | 'thumbprint'>): Promise<boolean> {
    const known = await this.#options.database
      .tables<IdentityTables>()
      .selectFrom('svid')
      .select('thumbprint')
      .where('thumbprint', '=', thumbprint)
      .where('spiffe_id', '=', spiffeId)
      .where('not_after_ms', '>', this.#options.now())
      .executeTakeFirst();
    return known !== undefined;
  }

  /** An SVID for a workload that a node has attested; `refuse` says why it may not. */
  async issueForNode(
    asked: { readonly spiffeId: string; readonly request: string },
    { node, refuse }: { readonly node: string; readonly refuse: () => Refusal | undefined },
  ): Promise<SvidGrant | Refusal> {
    const { spiffeId } = asked;
    return this.#checkThenGrant(async () => {
      const refused = refuse();
      if (refused) return { request: refused, ...(node !== '' && { spiffeId: node }) };
      const request = await this.#verify(asked.request, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      // A request that does not say for whom could be taken for another of the node's workloads.
      if (request.subject !== spiffeId) {
        return { request: refusal('request-subject', `found no subject, expected '${spiffeId}'`) };
      }
      return { request, spiffeId, via: 'node', by: node, consume: async () => {} };
    });
  }

  /** Why a subject gets no credential now. */
  standing(spiffeId: string): Refusal | undefined {
    const { registry, revocations, now } = this.#options;
    const subject = registry.subject(spiffeId);
    if (subject === undefined) return refusal('subject-unregistered', `found ${spiffeId}`);
    if (!subject.enabled) return refusal('subject-disabled', `found ${spiffeId}`);
    if ((registry.registration(spiffeId)?.expiresMs ?? Number.POSITIVE_INFINITY) <= now()) {
      return refusal('subject-expired', `found ${spiffeId}`);
    }
    if (revocations.covers('subject', spiffeId)) {
      return refusal('subject-revoked', `found ${spiffeId}`);
    }
    return undefined;
  }

  /**
   * Checks at once, so that a flood of bad requests keeps nobody waiting, and again when it is its turn: of
   * two requests with one token the second must see that it is used.
   */
  async #checkThenGrant(check: () => Promise<Checked>): Promise<SvidGrant | Refusal> {
    const early = await check();
    if (!isGrantable(early)) return this.#refuse(early.request, early.spiffeId);
    return this.#options.serial.run(async () => {
      const checked = await check();
      if (!isGrantable(checked)) return this.#refuse(checked.request, checked.spiffeId);
      return this.#grant(checked);
    });
  }

  /** An SVID for the authority itself, which asks nobody; for an hour, however short those of others are. */
  async issueOwn(publicKey: SvidRequest['publicKey'], names: HostNames): Promise<X509Svid> {
    const { registry, authorities } = this.#options;
    const { id, authority } = await authorities.x509();
    const svid = await authority.issueSvid({
      spiffeId: parseSpiffeId(registry.authorityId),
      publicKey,
      ttlSeconds: OWN_TTL_SECONDS,
      ...names,
    });
    await this.#options.database.transaction((transaction) =>
      this.#keep(transaction, svid, { authority: id }),
    );
    await this.#recordIssue(svid, { via: 'own' });
    return svid;
  }

  async #verify(jws: string, spiffeId: string): Promise<SvidRequest | Refusal> {
    const { factLog, database, now } = this.#options;
    const { trustDomain } = factLog;
    const refused = this.standing(spiffeId);
    if (refused) return refused;
    const request = await verifySvidRequest(jws, { trustDomain, nowMs: now() });
    if (!request.isGranted) return request;
    if (request.subject !== undefined && request.subject !== spiffeId) {
      return refusal('request-subject', `found '${request.subject}', expected '${spiffeId}'`);
    }
    const seen = await database
      .tables<IdentityTables>()
      .selectFrom('svid_request')
      .select('hash')
      .where('hash', '=', hashOf(spiffeId, request.id))
      .executeTakeFirst();
    if (seen !== undefined) return refusal('request-replayed', `found jti '${request.id}'`);
    return (request.extra && this.#refuseExtra(spiffeId, request.extra)) ?? request;
  }

  #refuseExtra(spiffeId: string, extra: PointKeys): Refusal | undefined {
    const point = this.#options.registry.point(spiffeId);
    if (point === undefined) return refusal('request-extra', `${spiffeId} is no point`);
    const { logVerifierKey } = extra;
    // A second key would let a stolen point begin another log under its name (invariant 6).
    if (
      logVerifierKey !== undefined &&
      point.logVerifierKey !== undefined &&
      point.logVerifierKey !== logVerifierKey
    ) {
      const known = `expected '${point.logVerifierKey}'`;
      return refusal('log-key-changed', `found '${logVerifierKey}', ${known}`);
    }
    return undefined;
  }

  async #grant({
    request,
    spiffeId,
    via,
    by,
    joined,
    credential,
    consume,
  }: Grantable): Promise<SvidGrant> {
    const { authorities, registry, factLog, database, now, random } = this.#options;
    const { id, authority } = await authorities.x509();
    const svid = await authority.issueSvid({
      spiffeId: parseSpiffeId(spiffeId),
      publicKey: request.publicKey,
      ttlSeconds: await this.#secondsOf({ spiffeId, node: via === 'node' ? by : undefined }),
      ...this.#options.hostNamesOf(spiffeId),
    });
    const nowMs = now();
    const logVerifierKey = request.extra?.logVerifierKey;
    const rows = async (transaction: Transaction) => {
      await consume(transaction);
      await noteRequest(transaction, { spiffeId, request, nowMs });
      await this.#keep(transaction, svid, {
        authority: id,
        ...(via === 'node' && { node: by }),
        ...(credential && { behind: { credential, keyHash: keyHash(request.publicKey) } }),
      });
      if (logVerifierKey === undefined) return;
      await transaction
        .tables<IdentityTables>()
        .updateTable('point')
        .set({ log_verifier_key: logVerifierKey })
        .where('name', '=', registry.point(spiffeId)?.name ?? '')
        .execute();
    };
    const key = this.#transactionKeyFact(spiffeId, request.extra, svid.notAfterMs);
    if (key === undefined) await database.transaction(rows);
    else await factLog.append({ puts: [key] }, { also: rows });
    if (logVerifierKey !== undefined) registry.noteLogVerifierKey(spiffeId, logVerifierKey);
    // INVARIANT: nothing leaves that is not in the log.
    await this.#recordIssue(svid, {
      via,
      ...(by !== undefined && { by }),
      ...(joined && { joined: joined.detail }),
    });
    // SPIRE's rule: at half of the life, a tenth of it earlier or later.
    const halfMs = ((svid.notAfterMs - nowMs) / 2) * (0.9 + random() * 0.2);
    return {
      isGranted: true,
      spiffeId,
      chain: svid.chain.map(base64Of),
      authorities: authorities.bundle().x509Authorities,
      bundleSequence: authorities.bundle().sequence ?? 0,
      refusedAuthorities: authorities.refused(),
      notAfterMs: svid.notAfterMs,
      renewAfterMs: Math.round(nowMs + halfMs),
      ...(via === 'join-token' && { joinedBy: 'join token' }),
      ...(joined && { joinedBy: joined.words }),
    };
  }

  async #secondsOf(of: { readonly spiffeId: string; readonly node?: string | undefined }) {
    const { registry, database, svidTtlSeconds, now } = this.#options;
    const { spiffeId, node } = of;
    const ttlSeconds = registry.registration(spiffeId)?.svidTtlSeconds ?? svidTtlSeconds;
    if (node === undefined) return ttlSeconds;
    const tables = database.tables<IdentityTables>();
    return handedOutSeconds(tables, { node, spiffeId, ttlSeconds, nowMs: now() });
  }

  #transactionKeyFact(
    spiffeId: string,
    extra: PointKeys | undefined,
    notAfterMs: number,
  ): Fact | undefined {
    const jwk = extra?.transactionKey;
    const point = this.#options.registry.point(spiffeId);
    if (jwk === undefined || point === undefined) return undefined;
    const { kid } = jwk;
    const surfaces = [...point.surfaces];
    return { kind: 'transaction-key', kid, jwk, holder: spiffeId, surfaces, notAfterMs };
  }

  async #keep(
    transaction: Transaction,
    svid: X509Svid,
    { authority, node, behind }: Kept,
  ): Promise<void> {
    const tables = transaction.tables<IdentityTables>();
    await tables
      .deleteFrom('svid')
      .where('thumbprint', 'in', (ended) =>
        ended
          .selectFrom('svid')
          .select('thumbprint')
          .where('not_after_ms', '<=', this.#options.now())
          .limit(CLEANUP_ROWS),
      )
      .execute();
    await tables
      .insertInto('svid')
      .values({
        thumbprint: thumbprintOf(svid),
        spiffe_id: svid.spiffeId.uri,
        serial: svid.serialHex,
        not_after_ms: svid.notAfterMs,
        authority,
        node: node ?? null,
        credential: behind?.credential ?? null,
        key_hash: behind?.keyHash ?? null,
      })
      .execute();
  }

  async #recordIssue(
    svid: X509Svid,
    {
      via,
      by = svid.spiffeId.uri,
      joined = {},
    }: { readonly via: string; readonly by?: string; readonly joined?: Attested['detail'] },
  ): Promise<void> {
    await this.#options.record({
      kind: 'administration',
      action: 'svid-issued',
      by: via === 'own' ? 'system' : by,
      target: svid.spiffeId.uri,
      detail: {
        via,
        serial: svid.serialHex,
        thumbprint: thumbprintOf(svid),
        notAfterMs: svid.notAfterMs,
        ...joined,
      },
    });
  }

  async #refuse(refused: Refusal, subject?: string): Promise<Refusal> {
    const { code, detail } = refused;
    await this.#options.record({
      kind: 'authentication',
      result: 'refused',
      reason: code,
      detail: detail.slice(0, 1000),
      listener: 'control',
      ...(subject !== undefined && { subject }),
    });
    const alarm = ALARMS.get(code);
    if (alarm !== undefined) {
      const told = `${subject}: ${detail}`.slice(0, 1000);
      await this.#options.record({ kind: 'alarm', alarm, detail: told });
    }
    return refused;
  }
}

/** A request is good for a minute either way; so long its id is kept. */
async function noteRequest(
  transaction: Transaction,
  options: { readonly spiffeId: string; readonly request: SvidRequest; readonly nowMs: number },
): Promise<void> {
  const { spiffeId, request, nowMs } = options;
  const tables = transaction.tables<IdentityTables>();
  await tables
    .deleteFrom('svid_request')
    .where('hash', 'in', (old) =>
      old
        .selectFrom('svid_request')
        .select('hash')
        .where('expires_ms', '<', nowMs)
        .limit(CLEANUP_ROWS),
    )
    .execute();
  await tables
    .insertInto('svid_request')
    .values({
      hash: hashOf(spiffeId, request.id),
      expires_ms: request.madeAtMs + (REQUEST_AGE_SECONDS_MAX + 1) * 1000,
    })
    .execute();
}

function hashOf(spiffeId: string, id: string): string {
  return createHash('sha256').update(`${spiffeId}\n${id}`).digest('base64url');
}

function thumbprintOf({ chain }: X509Svid): string {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('broken invariant: an issued chain has a leaf');
  return certificateThumbprint(leaf);
}

function base64Of(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}
