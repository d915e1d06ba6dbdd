import { type Clock, type Fact, subjectFromId } from '@countersign/model';
import { type CertificateNames, parseSpiffeId, type X509Svid } from '@countersign/spiffe';
import type { Database, FactLog, Transaction } from '@countersign/state';
import type { Authorities } from './authorities/authorities.ts';
import { issuedSvid } from './issued-svid.ts';
import type { Attested } from './joining/attestation.ts';
import { keyHash, noteJoin, refuseHeld } from './joining/held-credentials.ts';
import { consumeToken, findToken } from './joining/join-tokens.ts';
import { jwkThumbprint } from './keyring.ts';
import type { Recorder } from './new-event.ts';
import { handedOutSeconds } from './nodes/handed-out.ts';
import { type Refusal, refusal } from './refusal.ts';
import { Registry } from './registry.ts';
import type { Revocations } from './revocations.ts';
import type { Serial } from './serial.ts';
import { SvidRecord } from './svid-record.ts';
import { type PointKeys, type SvidRequest, verifySvidRequest } from './svid-request.ts';
import { keepSvid, noteRequest, requestHash } from './svid-rows.ts';
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
  /** What revocations are asked for: `thumbprint`, and that of the certificate with its other signature. */
  readonly names: CertificateNames;
  /** Its SVID is of an authority that is tainted: good for its own renewal, and nothing else. */
  readonly isTainted?: boolean;
  /** And that authority was revoked: what it issued is known no more. */
  readonly isForgotten?: boolean;
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
  /** RFC 7638 thumbprint of the key that a device enrolled with: it gets certificates for no other. */
  readonly keyOfDevice: (spiffeId: string) => string | undefined;
}

const OWN_TTL_SECONDS = 3600;

/** What a check found: a request that may be granted, for whom, and what granting it uses up. */
interface Grantable {
  readonly request: SvidRequest;
  readonly spiffeId: string;
  readonly via: 'join-token' | 'renewal' | 'node' | 'device-code' | 'device-key' | Attested['kind'];
  /** What it joined with, for the record. */
  readonly joined?: Attested;
  /** SHA-256 of the SVID that it renews, for the record. */
  readonly renewed?: string;
  /** The node that asked; else whom it is for. */
  readonly by?: string;
  /** What stands behind it, and behind what is renewed of it. */
  readonly credential?: string;
  readonly consume: (transaction: Transaction, svid: Pick<X509Svid, 'notAfterMs'>) => Promise<void>;
  /** What no registration says: the life of a device's certificate. */
  readonly ttlSeconds?: number;
  /** What is true by the same change. */
  readonly facts?: readonly Fact[];
  /** Called when all of it is kept. */
  readonly granted?: (svid: Pick<X509Svid, 'notAfterMs'>) => void;
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
  readonly #record: SvidRecord;

  constructor(options: SvidsOptions) {
    this.#options = options;
    this.#record = new SvidRecord(options);
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
      const request = await this.verify(asked.request, spiffeId);
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
      const request = await this.verify(jws, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      const { publicKey } = request;
      const refused = await refuseHeld(database, {
        ...{ attested, spiffeId, publicKey, nowMs: now() },
        isRevoked: (names) => revocations.covers('certificate', names),
        isRegistered: (id) => registry.subject(id) !== undefined,
      });
      if (refused) return { request: refused, spiffeId };
      const consume = (transaction: Transaction) =>
        noteJoin(transaction, { attested, spiffeId, nowMs: now() });
      return { request, spiffeId, via: kind, joined: attested, credential, consume };
    });
  }

  /** The next SVID, against the current one. */
  async renew(
    asked: { request: string },
    peer: ControlPeer | undefined,
  ): Promise<SvidGrant | Refusal> {
    if (peer === undefined) return this.#record.refused(refusal('peer-missing', 'found no SVID'));
    const { spiffeId, thumbprint } = peer;
    return this.#checkThenGrant(async () => {
      // INVARIANT: only what we issued is renewed, so that every SVID goes back to somebody who joined. A forged one, made with
      // the key of an authority, would be exchanged for a genuine one otherwise, which is good when that authority is tainted.
      const known = await this.#issued(peer);
      if (!('isIssued' in known)) return { request: known, spiffeId };
      const { credential, node } = known.svid;
      // A device renews by its key, also when this certificate is over.
      if (this.#options.keyOfDevice(spiffeId) !== undefined) {
        return { request: refusal('device-key', `found ${spiffeId} at /v1/svid`), spiffeId };
      }
      // The node asks for its next, and asks no more when it is revoked, or does not attest it any more.
      const refused =
        node !== undefined && refusal('svid-of-node', `found ${thumbprint}, handed out by ${node}`);
      const request = refused || (await this.verify(asked.request, spiffeId));
      if (!request.isGranted) return { request, spiffeId };
      return {
        ...{ request, spiffeId, via: 'renewal', renewed: thumbprint },
        ...(credential && { credential }),
        consume: async () => {},
      };
    });
  }

  /** Why the SVID of a node is none with which it may ask for those of its workloads. */
  async refuseNode(peer: ControlPeer): Promise<Refusal | undefined> {
    const known = await this.#issued(peer);
    if (!('isIssued' in known)) {
      const { code, detail } = known;
      return code === 'svid-unknown' ? refusal('node-svid-unknown', detail) : known;
    }
    const { node } = known.svid;
    // What a node hands out ends with it: not so what that would hand out in its turn.
    return node === undefined
      ? undefined
      : refusal('svid-of-node', `found ${peer.thumbprint}, handed out by ${node}`);
  }

  /** Records a refusal, with its alarm where it has one. */
  refuse(refused: Refusal, subject?: string): Promise<Refusal> {
    return this.#record.refused(refused, subject);
  }

  #issued(peer: ControlPeer): ReturnType<typeof issuedSvid> {
    const { database, revocations, now } = this.#options;
    return issuedSvid(database, { peer, revocations, nowMs: now() });
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
    {
      node,
      refuse,
    }: { readonly node: string; readonly refuse: () => Promise<Refusal | undefined> },
  ): Promise<SvidGrant | Refusal> {
    const { spiffeId } = asked;
    return this.#checkThenGrant(async () => {
      const refused = await refuse();
      if (refused) return { request: refused, ...(node !== '' && { spiffeId: node }) };
      const request = await this.verify(asked.request, spiffeId);
      if (!request.isGranted) return { request, spiffeId };
      // A request that does not say for whom could be taken for another of the node's workloads.
      if (request.subject !== spiffeId) {
        return { request: refusal('request-subject', `found no subject, expected '${spiffeId}'`) };
      }
      return { request, spiffeId, via: 'node', by: node, consume: async () => {} };
    });
  }

  /** An SVID for a device; `check` is called again when it is the caller's turn. */
  issueForDevice(check: () => Promise<Checked>): Promise<SvidGrant | Refusal> {
    return this.#checkThenGrant(check);
  }

  /** Facts that revoke what a subject holds now. */
  async revocationsOf(spiffeId: string, reason: string): Promise<readonly Fact[]> {
    const nowMs = this.#options.now();
    const rows = await this.#options.database
      .tables<IdentityTables>()
      .selectFrom('svid')
      .select(['thumbprint', 'not_after_ms'])
      .where('spiffe_id', '=', spiffeId)
      .where('not_after_ms', '>', nowMs)
      .execute();
    return rows.map(({ thumbprint, not_after_ms: untilMs }) => ({
      ...{ kind: 'revocation', target: 'certificate', value: thumbprint, reason },
      ...{ atMs: nowMs, untilMs },
    }));
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
    if (!isGrantable(early)) return this.#record.refused(early.request, early.spiffeId);
    return this.#options.serial.run(async () => {
      const checked = await check();
      if (!isGrantable(checked)) return this.#record.refused(checked.request, checked.spiffeId);
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
      keepSvid(transaction, svid, {
        nowMs: this.#options.now(),
        authority: id,
      }),
    );
    await this.#record.issued(svid, { via: 'own' });
    return svid;
  }

  /** Verifies a request for an SVID of a subject: who asks holds its key, asks for the first time, and may have one. */
  async verify(jws: string, spiffeId: string): Promise<SvidRequest | Refusal> {
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
      .where('hash', '=', requestHash(spiffeId, request.id))
      .executeTakeFirst();
    if (seen !== undefined) return refusal('request-replayed', `found jti '${request.id}'`);
    return (
      this.#refuseKey(spiffeId, request) ??
      (request.extra && this.#refuseExtra(spiffeId, request.extra)) ??
      request
    );
  }

  /** The key is the device: whoever has its certificate, and another key, does not become it. */
  #refuseKey(spiffeId: string, { publicKey }: SvidRequest): Refusal | undefined {
    // What stands in identities/ joins as everybody there; what is enrolled is its key.
    const isWritten = this.#options.registry.registration(spiffeId) !== undefined;
    if (subjectFromId(spiffeId).kind !== 'device' || isWritten) return undefined;
    const key = this.#options.keyOfDevice(spiffeId);
    if (key !== undefined && key === jwkThumbprint(publicKey.export({ format: 'jwk' }))) {
      return undefined;
    }
    return refusal('device-key', `found another key than ${spiffeId} enrolled with`);
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
    renewed,
    credential,
    consume,
    ttlSeconds,
    facts = [],
    granted,
  }: Grantable): Promise<SvidGrant> {
    const { authorities, registry, factLog, database, now, random } = this.#options;
    const { id, authority } = await authorities.x509();
    const svid = await authority.issueSvid({
      spiffeId: parseSpiffeId(spiffeId),
      publicKey: request.publicKey,
      ttlSeconds:
        ttlSeconds ?? (await this.#secondsOf({ spiffeId, node: via === 'node' ? by : undefined })),
      ...this.#options.hostNamesOf(spiffeId),
    });
    const nowMs = now();
    const logVerifierKey = request.extra?.logVerifierKey;
    const rows = async (transaction: Transaction) => {
      await consume(transaction, svid);
      await noteRequest(transaction, { spiffeId, request, nowMs });
      await keepSvid(transaction, svid, {
        nowMs: this.#options.now(),
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
      await Registry.touch(transaction);
    };
    const key = this.#transactionKeyFact(spiffeId, request.extra, svid.notAfterMs);
    const puts = [...facts, ...(key === undefined ? [] : [key])];
    if (puts.length === 0) await database.transaction(rows);
    else await factLog.append({ puts }, { also: rows });
    granted?.(svid);
    if (logVerifierKey !== undefined) registry.noteLogVerifierKey(spiffeId, logVerifierKey);
    // INVARIANT: nothing leaves that is not in the log.
    await this.#record.issued(svid, {
      via,
      ...(by !== undefined && { by }),
      ...((joined || renewed) && { more: joined?.detail ?? { renewed: renewed ?? '' } }),
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
}

function base64Of(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}
