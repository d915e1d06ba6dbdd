import type { Server } from 'node:https';
import type { TlsOptions } from 'node:tls';
import { type Identity, type Recorder, type ScimClient, scimRoutes } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { ScimSettings } from '@countersign/policy';
import { type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import Fastify from 'fastify';
import { controlPeers } from '../authority/control-peer.ts';
import type { OwnSvid } from '../authority/keys/own-svid.ts';
import { listenError } from '../authority/listen-error.ts';
import { endWithCertificate } from '../listener-certificate/end-with-certificate.ts';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';

/** RFC 9325 §4.2: what of TLS 1.2 is still good. Entra offers nothing newer, by its own documentation. */
const TLS_12_SUITES = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');
/** A cloud's request comes within a second; nobody may hold a connection with half of one. */
const REQUEST_TIMEOUT_MS = 60_000;

/** What the listener needs. */
export interface ServeScimOptions {
  readonly settings: ScimSettings;
  readonly clients: readonly ScimClient[];
  readonly identity: Identity;
  readonly own: OwnSvid;
  readonly certificates: Pick<ListenerCertificates, 'open'>;
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * Serves SCIM on a listener of its own. With the authority's SVID it speaks TLS 1.3 only; with a certificate of the configuration, which
 * is for clients outside, TLS 1.2 too.
 */
export async function serveScim(options: ServeScimOptions): Promise<{ close(): Promise<void> }> {
  const { settings, clients, identity, own, certificates, record, now } = options;
  const { certificateFile, keyFile } = settings;
  const certificate =
    certificateFile !== undefined && keyFile !== undefined
      ? await certificates.open('authority.people.scim', { certificateFile, keyFile })
      : undefined;
  const shown = certificate ?? own;
  const tls: ServerTls = { svid: shown.current, clientCertificates: 'request' };
  const tlsOptions = (): TlsOptions =>
    certificate ? withTls12(serverTlsOptions(tls)) : serverTlsOptions(tls);
  const app = Fastify({
    https: tlsOptions(),
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 256 },
  });
  const server = app.server as unknown as Server;
  shown.onRenewed(() => server.setSecureContext(tlsOptions()));
  if (certificate) endWithCertificate(server, { now });
  const peers = controlPeers({
    trustDomain: identity.trustAnchors.trustDomain,
    identity,
    now,
  });
  await app.register(
    scimRoutes({
      users: identity.people.users,
      groups: identity.people.groups,
      clients,
      peer({ raw }) {
        const peer = peers.of(raw.socket);
        if (!peer || identity.subject(peer.spiffeId)?.enabled !== true) return undefined;
        const isRevoked =
          identity.isRevoked('subject', peer.spiffeId) ||
          identity.isRevoked('certificate', peer.names);
        return isRevoked ? undefined : { spiffeId: peer.spiffeId };
      },
      origin: settings.url,
      record,
      now,
    }),
    { prefix: '/scim/v2' },
  );
  const { address } = settings;
  try {
    await app.listen({ ...address });
  } catch (cause) {
    await app.close();
    throw listenError('authority.people.scim.address', { address, cause });
  }
  return { close: () => app.close() };
}

function withTls12(options: TlsOptions): TlsOptions {
  const ciphers = [options.ciphers, TLS_12_SUITES].join(':');
  return { ...options, ciphers, minVersion: 'TLSv1.2' };
}
