import { createHash } from 'node:crypto';
import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type {
  AccessToken,
  ClientCredentials,
  KoaContextWithOIDC,
  ResourceServer,
} from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Narrowings } from '../narrowings.ts';
import type { Recorder } from '../new-event.ts';
import type { ClientOf, Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import { resolveSession } from '../sessions.ts';
import { certificateFault, certificateOf, svidFault } from './client-certificate.ts';
import type { SvidBundles } from './svid-bundles.ts';

/** What decides whether a client gets a token, and which. */
export interface TokenRulesOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly narrowings: Narrowings;
  readonly record: Recorder;
  readonly now: Clock;
  readonly accessTokenTtlSeconds: number;
  readonly svidBundles: SvidBundles;
}

/** The bank's rules for tokens, in the order in which the provider asks for them. */
export class TokenRules {
  readonly #options: TokenRulesOptions;

  constructor(options: TokenRulesOptions) {
    this.#options = options;
  }

  /**
   * The resource that is asked for, when the client may ask for it.
   *
   * @throws {errors.InvalidTarget} RFC 8707 §2
   * @throws {errors.InvalidScope} RFC 6749 §5.2: a scope is refused, not dropped, so that nobody
   *   believes to hold it
   */
  resourceServer(ctx: KoaContextWithOIDC, indicator: string, clientId: string): ResourceServer {
    const { client } = this.#registered(clientId);
    if (!client.audiences.includes(indicator)) {
      throw new errors.InvalidTarget('this resource is not registered for the client');
    }
    const scope = ctx.oidc.params?.['scope'];
    const asked = typeof scope === 'string' ? scope.split(' ') : [];
    if (asked.length === 0 && client.scopes.length > 0) {
      throw new errors.InvalidScope('scope is missing', '');
    }
    const foreign = asked.find((each) => !client.scopes.includes(each));
    if (foreign !== undefined) {
      throw new errors.InvalidScope('this scope is not registered for the client', foreign);
    }
    return {
      scope: client.scopes.join(' '),
      audience: indicator,
      accessTokenFormat: 'jwt',
      accessTokenTTL: this.ttlSeconds(ctx, clientId),
      jwt: { sign: { alg: 'ES256' } },
    };
  }

  /** The resource of a client that names none: its only one. */
  defaultResource(clientId: string): string {
    const [only, ...others] = this.#registered(clientId).client.audiences;
    if (only === undefined || others.length > 0) {
      throw new errors.InvalidTarget('resource is missing, and the client has several');
    }
    return only;
  }

  /** As registered; a token that is bound to an SVID ends with it, when nobody could present it any more. */
  ttlSeconds(ctx: KoaContextWithOIDC, clientId: string): number {
    const { client } = this.#registered(clientId);
    const ttlSeconds = Math.min(client.tokenTtlSeconds, this.#options.accessTokenTtlSeconds);
    const svid = client.binding === 'mtls' && showsSvids(client) && certificateOf(ctx.socket);
    if (!svid) return ttlSeconds;
    const leftSeconds = Math.floor((svid.validToDate.getTime() - this.#options.now()) / 1000);
    return Math.max(1, Math.min(ttlSeconds, leftSeconds));
  }

  /**
   * Everything that must hold when client, resource and proof have been checked: the subject is good, the
   * token is bound as registered, and its session is not revoked.
   *
   * @returns the claims beside those of RFC 9068
   */
  async admit(
    ctx: KoaContextWithOIDC,
    token: ClientCredentials | AccessToken,
  ): Promise<{ sid: string }> {
    const { database, registry, revocations, now } = this.#options;
    const registered = this.#registered(token.clientId ?? '');
    const { client, registration } = registered;
    const subject = registration.subject.id;
    if (registry.subject(subject)?.enabled !== true) {
      throw new errors.AccessDenied('the client is disabled');
    }
    if (revocations.covers('subject', subject)) {
      throw new errors.AccessDenied('the client is revoked');
    }
    const thumbprint = client.binding === 'mtls' ? token['x5t#S256'] : token.jkt;
    if (thumbprint === undefined) {
      throw new errors.InvalidRequest('the token would be bound to no key');
    }
    if (client.binding === 'mtls') this.#assertCertificate(ctx, registered);
    const sessionKey = this.holderOf(client.id, thumbprint);
    const resolved = await resolveSession(
      database,
      { clientId: client.id, subject, binding: client.binding, thumbprint: sessionKey },
      { ttlSeconds: this.ttlSeconds(ctx, client.id), now },
    );
    switch (resolved.kind) {
      case 'revoked':
        throw new errors.AccessDenied('the session is revoked');
      case 'too-many':
        throw new errors.TemporarilyUnavailable('the client has too many sessions');
      default:
        if (resolved.isNew) {
          await this.#options.record({
            kind: 'administration',
            action: 'session-started',
            by: subject,
            target: resolved.session.id,
            detail: { client: client.id, binding: client.binding, thumbprint },
          });
        }
        if (resolved.narrowedBy.length > 0) {
          await this.#options.narrowings.inherit(resolved.session, resolved.narrowedBy);
        }
        return { sid: resolved.session.id };
    }
  }

  /** Why the certificate of this connection is not the client's. */
  certificateFault(ctx: KoaContextWithOIDC, clientId: string): string | undefined {
    const certificate = certificateOf(ctx.socket);
    if (certificate === undefined) return 'no certificate was shown';
    const registered = this.#registered(clientId);
    const { revocations, now, svidBundles } = this.#options;
    return showsSvids(registered.client)
      ? svidFault(ctx.socket, { registered, revocations, now, bundles: svidBundles.x509 })
      : certificateFault(certificate, { registered, revocations, now });
  }

  /**
   * What tells whoever holds the key of a token from others: the key's thumbprint. SVIDs rotate, and what holds against one,
   * such as a revoked session, must hold against the next: theirs is the client.
   */
  holderOf(clientId: string, thumbprint: string): string {
    const { client } = this.#registered(clientId);
    return client.binding === 'mtls' && showsSvids(client) ? hashOf(client.id) : thumbprint;
  }

  authenticationOf(clientId: string): string | undefined {
    return this.#options.registry.client(clientId)?.client.authentication;
  }

  subjectOf(clientId: string): string | undefined {
    return this.#options.registry.client(clientId)?.registration.subject.id;
  }

  #assertCertificate(ctx: KoaContextWithOIDC, { client }: ClientOf): void {
    const fault = this.certificateFault(ctx, client.id);
    if (fault !== undefined) {
      // RFC 8705 §3: bound to the certificate of this connection, which must be the registered one.
      throw new errors.InvalidGrant(fault);
    }
  }

  #registered(clientId: string): ClientOf {
    const registered = this.#options.registry.client(clientId);
    // The provider remembers a client for the length of a request; it may have been removed meanwhile.
    if (registered === undefined) throw new errors.InvalidClient('the client is not registered');
    return registered;
  }
}

function showsSvids({ authentication }: ClientOf['client']): boolean {
  return authentication === 'spiffe_x509' || authentication === 'spiffe_jwt';
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
