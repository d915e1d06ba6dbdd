import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { errors, KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { FailureGate } from '../failure-gate.ts';
import type { Recorder } from '../new-event.ts';
import type { TokenExchange } from './exchange/token-exchange.ts';
import type { TokenRules } from './token-rules.ts';
import { TooOften } from './too-often.ts';

/** Where clients authenticate. */
export const AUTHENTICATED_PATHS: ReadonlySet<string> = new Set([
  '/token',
  '/request',
  '/backchannel',
  '/token/revocation',
]);
/** What a client is told that polls for an approval: no refusals, and too many for the record. */
const POLLING: ReadonlySet<string> = new Set(['authorization_pending', 'slow_down']);

/** The address of who asks; empty when the connection is gone. */
export function ipOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}

/** Every refusal is recorded before its answer leaves; one that cannot be recorded is answered 500. */
export function recordRefusals(
  provider: Provider,
  {
    record,
    rules,
    refused,
    exchange,
    gate,
  }: {
    readonly record: Recorder;
    readonly rules: TokenRules;
    readonly exchange: TokenExchange;
    readonly gate: FailureGate;
    /** Requests that were refused before the provider saw them. */
    readonly refused: WeakMap<object, errors.OIDCProviderError>;
  },
): void {
  const causes = new WeakMap<
    object,
    Error & { error?: string | undefined; error_detail?: string | undefined }
  >();
  const note = (ctx: KoaContextWithOIDC, error: Error) => void causes.set(ctx.req, error);
  provider.on('grant.error', note);
  provider.on('authorization.error', note);
  provider.on('pushed_authorization_request.error', note);
  provider.on('backchannel_authentication.error', note);
  provider.on('revocation.error', note);
  provider.on('server_error', note);
  provider.use(async (ctx, next) => {
    const early = refused.get(ctx.req);
    if (early === undefined) {
      await next();
    } else {
      causes.set(ctx.req, early);
      ctx.status = early.statusCode;
      ctx.body = { error: early.error, error_description: early.error_description };
    }
    const ip = ipOf(ctx.req);
    const cause = causes.get(ctx.req);
    // An error of the authorization endpoint goes to the application as a redirect.
    const isRefused = ctx.path === '/token' ? ctx.status >= 400 : cause !== undefined;
    if (cause instanceof TooOften) ctx.set('retry-after', String(cause.retryAfterSeconds));
    const client = (ctx as Partial<KoaContextWithOIDC>).oidc?.client;
    const proven =
      AUTHENTICATED_PATHS.has(ctx.path) && cause?.error !== 'invalid_client' ? client : undefined;
    if (proven) gate.succeeded(ip, proven.clientId);
    if (!isRefused || POLLING.has(cause?.error ?? '')) return;
    const telling = cause instanceof TooOften ? cause.telling : 'counted';
    if (telling === 'done') return;
    // What a client does that proved who it is, its own pace bounds; it must not hold up its neighbours.
    const isTold = proven ? gate.failedOf(proven.clientId) : gate.failed(ip, client?.clientId);
    if (!isTold && telling !== 'due') return;
    const fault =
      client?.clientAuthMethod === 'tls_client_auth'
        ? rules.certificateFault(ctx as KoaContextWithOIDC, client.clientId)
        : undefined;
    const isAuthenticated = cause?.error !== 'invalid_client' && cause !== undefined;
    const subject = isAuthenticated ? rules.subjectOf(client?.clientId ?? '') : undefined;
    // Of an exchange whose subject token was good: in whose name, and by whom.
    const chain = exchange.chainOf(ctx.req);
    const detail = [
      client && `client '${client.clientId}'`,
      (cause as { error_description?: string } | undefined)?.error_description,
      cause?.error_detail,
      fault,
      ctx.status >= 500 && cause?.message,
    ];
    const event: Parameters<Recorder>[0] = {
      kind: 'authentication',
      result: 'refused',
      reason: `issuer-${(cause?.error ?? 'server_error').replaceAll('_', '-')}`,
      detail: detail.filter(Boolean).join('; ').slice(0, 1000),
      listener: 'issuer',
      ...(subject !== undefined && { subject }),
      ...(chain && { subject: chain.subject, actors: [...chain.actors] }),
      ...(ip !== '' && { ip }),
    };
    try {
      await record(event);
    } catch {
      ctx.status = 500;
      ctx.body = { error: 'server_error', error_description: 'the request was not carried out' };
    }
  });
  // Koa prints what it cannot answer; the answer is 500 and the record says so where it can.
  (provider as EventEmitter).on('error', (error: Error) => {
    record({ kind: 'alarm', alarm: 'issuer-failed', detail: error.message.slice(0, 1000) }).catch(
      () => undefined,
    );
  });
}
