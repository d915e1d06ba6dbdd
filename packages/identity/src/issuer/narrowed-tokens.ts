import type { Provider } from 'oidc-provider';
import type { Narrowings } from '../narrowings.ts';

/** Holds tokens to what is left of the session that they are issued under. */
export class NarrowedTokens {
  readonly #narrowings: Narrowings;
  readonly #told = new WeakMap<object, string>();

  constructor(narrowings: Narrowings) {
    this.#narrowings = narrowings;
  }

  /** RFC 6749 §3.3: the scope of a token may be less than was asked. */
  narrow(
    token: { scope?: string | undefined },
    payload: Record<string, unknown>,
    request: object,
  ): void {
    const scopes = String(payload['scope'] ?? '').split(' ');
    const left = this.#narrowings.left(String(payload['sid']), scopes);
    if (left.length === scopes.length) return;
    const scope = left.join(' ');
    // As the provider does it: where there is none, there is no claim.
    payload['scope'] = scope || undefined;
    token.scope = scope || undefined;
    this.#told.set(request, scope);
  }

  /** RFC 6749 §5.1: the answer says so; the provider says nothing of none. */
  tell(provider: Provider): void {
    provider.use(async (ctx, next) => {
      await next();
      const scope = this.#told.get(ctx.req);
      if (scope !== undefined) Object.assign(ctx.body as object, { scope });
    });
  }
}
