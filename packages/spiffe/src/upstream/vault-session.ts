import { SpiffeError } from '../spiffe-error.ts';
import { upstreamRefused, upstreamUnavailable } from './upstream-error.ts';
import { callVault, type VaultAnswer, type VaultCall, type VaultEndpoint } from './vault-http.ts';

/** How to log in. Secrets are asked for at each login and not kept. */
export type VaultAuth =
  | { readonly kind: 'token'; readonly token: () => Promise<string> }
  | {
      readonly kind: 'appRole';
      /** `approle` if not said. */
      readonly mount?: string;
      readonly roleId: string;
      readonly secretId: () => Promise<string>;
    }
  | {
      readonly kind: 'kubernetes';
      /** `kubernetes` if not said. */
      readonly mount?: string;
      readonly role: string;
      /** The service account's token. */
      readonly jwt: () => Promise<string>;
    }
  | {
      readonly kind: 'certificate';
      /** `cert` if not said. */
      readonly mount?: string;
      /** Vault chooses by the certificate when absent. */
      readonly role?: string;
    };

/** A token of Vault, kept fresh. */
export interface VaultSession {
  /** Calls with a token; logs in first when there is none that is good, and once more when it is refused. */
  call(call: Omit<VaultCall, 'token'>): Promise<VaultAnswer>;
  /** Ends the renewals, and revokes a token that was got by logging in. */
  close(): Promise<void>;
}

interface Token {
  readonly value: string;
  /** Infinity for one that does not end. */
  readonly endsMs: number;
  readonly isRenewable: boolean;
}

/** A token that ends within this is not used any more. */
const MARGIN_MS = 5_000;
/** Of a timer of Node. */
const TIMER_MS_MAX = 2_147_483_647;

/**
 * Logs in to Vault when it is needed, and renews the token at half of its life until Vault will not any more.
 *
 * @param onTrouble told of each renewal that failed; the next call logs in anew
 */
export function createVaultSession(
  endpoint: VaultEndpoint,
  {
    auth,
    now,
    onTrouble,
  }: {
    readonly auth: VaultAuth;
    readonly now: () => number;
    readonly onTrouble: (error: unknown) => void;
  },
): VaultSession {
  const { name } = endpoint;
  let token: Token | undefined;
  let opening: Promise<Token> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const keep = (next: Token): Token => {
    token = next;
    clearTimeout(timer);
    if (!isClosed && next.isRenewable && Number.isFinite(next.endsMs)) {
      const waitMs = Math.min(Math.max(0, (next.endsMs - now()) / 2), TIMER_MS_MAX);
      timer = setTimeout(renew, waitMs);
      timer.unref();
    }
    return next;
  };
  const renew = async (): Promise<void> => {
    const before = token;
    if (before === undefined) return;
    try {
      const answer = await callVault(endpoint, {
        method: 'POST',
        path: 'auth/token/renew-self',
        token: before.value,
        body: {},
      });
      if (token !== before || isClosed) return;
      const next = tokenOf(name, answer, now());
      // At its longest life (`max_ttl`) Vault gives a little, or nothing, again and again.
      if (next.endsMs - before.endsMs < MARGIN_MS) token = { ...next, isRenewable: false };
      else keep(next);
    } catch (error) {
      onTrouble(error);
      if (token === before) token = { ...before, isRenewable: false };
    }
  };
  const open = async (signal: AbortSignal | undefined): Promise<Token> => {
    if (token !== undefined && token.endsMs > now() + MARGIN_MS) return token;
    opening ??= logIn(endpoint, auth, now, signal)
      .then(keep)
      .finally(() => {
        opening = undefined;
      });
    return opening;
  };
  return {
    call: async (call) => {
      for (let attempt = 0; ; attempt += 1) {
        const { value } = await open(call.signal);
        try {
          return await callVault(endpoint, { ...call, token: value });
        } catch (error) {
          // A token that was revoked, or that Vault forgot in a restore. A policy that forbids says 403, too: once.
          const isForbidden = error instanceof SpiffeError && /status 403 /.test(error.message);
          if (!isForbidden || attempt > 0) throw error;
          if (token?.value === value) token = undefined;
        }
      }
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(timer);
      const last = token;
      token = undefined;
      // A token that was given to us is its giver's to revoke.
      if (last === undefined || auth.kind === 'token') return;
      await callVault(endpoint, {
        method: 'POST',
        path: 'auth/token/revoke-self',
        token: last.value,
        body: {},
      }).catch(onTrouble);
    },
  };
}

async function logIn(
  endpoint: VaultEndpoint,
  auth: VaultAuth,
  now: () => number,
  signal: AbortSignal | undefined,
): Promise<Token> {
  const { name } = endpoint;
  const post = async (path: string, body: object): Promise<Token> =>
    tokenOf(
      name,
      await callVault(endpoint, { method: 'POST', path, body, ...(signal && { signal }) }),
      now(),
    );
  switch (auth.kind) {
    case 'token': {
      const value = await secretOf(name, auth.token);
      const { body } = await callVault(endpoint, {
        method: 'GET',
        path: 'auth/token/lookup-self',
        token: value,
        ...(signal && { signal }),
      });
      const data = memberOf(body, 'data');
      const ttl = Number(data['ttl'] ?? 0);
      return {
        value,
        endsMs: ttl > 0 ? now() + ttl * 1000 : Number.POSITIVE_INFINITY,
        isRenewable: data['renewable'] === true,
      };
    }
    case 'appRole':
      return post(`auth/${auth.mount ?? 'approle'}/login`, {
        role_id: auth.roleId,
        secret_id: await secretOf(name, auth.secretId),
      });
    case 'kubernetes':
      return post(`auth/${auth.mount ?? 'kubernetes'}/login`, {
        role: auth.role,
        jwt: await secretOf(name, auth.jwt),
      });
    case 'certificate':
      return post(`auth/${auth.mount ?? 'cert'}/login`, {
        ...(auth.role !== undefined && { name: auth.role }),
      });
  }
}

async function secretOf(name: string, read: () => Promise<string>): Promise<string> {
  let secret: string;
  try {
    secret = (await read()).trim();
  } catch (cause) {
    throw upstreamUnavailable(name, (cause as Error).message, cause);
  }
  if (secret === '') throw upstreamRefused(name, 'an empty secret to log in with', 'one');
  return secret;
}

function tokenOf(name: string, { body }: VaultAnswer, nowMs: number): Token {
  const auth = memberOf(body, 'auth');
  const { client_token: value, lease_duration: seconds, renewable } = auth;
  if (typeof value !== 'string' || value === '' || typeof seconds !== 'number') {
    throw upstreamRefused(name, 'a login without token', 'one');
  }
  return {
    value,
    endsMs: seconds > 0 ? nowMs + seconds * 1000 : Number.POSITIVE_INFINITY,
    isRenewable: renewable === true,
  };
}

/** An object inside an answer; an empty one where there is none. */
export function memberOf(
  body: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> {
  const value = body[key];
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
