import type { FastifyPluginAsync } from 'fastify';
import { z } from 'zod';
import { AUTHORITY_KINDS } from './authorities/slot.ts';
import type { Identity } from './identity.ts';
import { JOIN_TOKEN_TTL_SECONDS_MAX } from './joining/join-tokens.ts';
import { answerProblems, problem } from './problem.ts';
import type { Refusal } from './refusal.ts';
import { REVOCABLE } from './revocations.ts';

const joinTokenShape = z.strictObject({
  spiffeId: z.string().max(2048),
  ttlSeconds: z.number().int().min(1).max(JOIN_TOKEN_TTL_SECONDS_MAX).optional(),
});
const revocationShape = z.strictObject({
  target: z.enum(REVOCABLE),
  value: z.string().min(1).max(2048),
  reason: z.string().min(1).max(1000),
});
const narrowingShape = z
  .strictObject({
    session: z.string().min(1).max(128),
    scopes: z.array(z.string().min(1).max(200)).max(200).optional(),
    readOnly: z.boolean().optional(),
    reason: z.string().min(1).max(1000),
  })
  .refine(({ scopes, readOnly }) => scopes !== undefined || readOnly === true, {
    message: 'nothing to narrow to, expected scopes or readOnly: true',
  });

const inviteShape = z.strictObject({
  subject: z.string().max(2048),
  ttlSeconds: z.number().int().min(60).max(86_400).optional(),
});

const credentialShape = z.strictObject({
  credentialId: z.string().max(1364),
  publicKey: z.string().max(1024),
  rpId: z.string().max(253),
  origins: z.array(z.string().max(512)).max(16),
  subject: z.string().max(2048),
});

const caShape = z.strictObject({
  kind: z.enum(AUTHORITY_KINDS),
  step: z.enum(['prepare', 'activate', 'taint', 'revoke']),
});
const activationShape = z.strictObject({ id: z.string().max(256).optional() });
const taintShape = z.strictObject({
  id: z.string().min(1).max(256),
  reason: z.string().min(1).max(1000),
});

/**
 * What the operator asks of the authority, for a unix socket that only the operator can open:
 * `POST /v1/join-tokens`, `GET /v1/sessions`, `GET /v1/subjects`, `GET /v1/points`, `GET /v1/registrations`,
 * `POST /v1/revocations`,
 * `DELETE /v1/revocations/<target>/<value>` (the value percent-encoded), `POST /v1/narrowings`, `DELETE /v1/narrowings/<session>`, `GET` and `POST /v1/credentials`,
 * `DELETE /v1/credentials/<id>`; where people sign in `POST /v1/passkey-invites`, `GET /v1/passkeys`,
 * `GET /v1/passkey-recoveries`, and `GET /v1/person-sessions` (empty lists where they do not);
 * `GET /v1/ca` (the X.509, JWT and token authorities), `POST /v1/ca/<x509|jwt|token>/<prepare|activate|taint|revoke>`.
 *
 * @param options `by` names the operator in the record
 */
export function adminRoutes(options: {
  readonly identity: Identity;
  readonly by: string;
}): FastifyPluginAsync {
  const { identity, by } = options;
  return async (app) => {
    answerProblems(app);

    app.post('/v1/join-tokens', async (request, reply) => {
      const { spiffeId, ttlSeconds } = joinTokenShape.parse(request.body);
      const made = await identity.createJoinToken({
        spiffeId,
        by,
        ...(ttlSeconds !== undefined && { ttlSeconds }),
      });
      if (!made.isGranted) return refused(reply, made);
      const { joinToken, expiresAtMs } = made;
      return reply.code(201).send({ joinToken, spiffeId, expiresAtMs });
    });

    /** With what it is narrowed to. */
    const asNarrowed = <S extends { readonly id: string }>(session: S) => {
      const { scopes, readOnly } = identity.narrowing(session.id) ?? {};
      if (readOnly === undefined) return session;
      return { ...session, narrowed: { ...(scopes && { scopes }), readOnly } };
    };
    app.get('/v1/sessions', async () => (await identity.sessions()).map(asNarrowed));
    app.get('/v1/subjects', async () => identity.subjects());
    app.get('/v1/points', async () => identity.points());
    app.get('/v1/registrations', () => identity.registrations());

    app.post('/v1/revocations', async (request, reply) => {
      const { target, value, reason } = revocationShape.parse(request.body);
      const result = await identity.revoke({ target, value, reason, by });
      if (!result.isGranted) return refused(reply, result);
      return reply.code(201).send({ target, value, reason, untilMs: result.untilMs });
    });

    app.post('/v1/narrowings', async (request, reply) => {
      const { session, scopes, readOnly, reason } = narrowingShape.parse(request.body);
      const limits = { ...(scopes && { scopes }), ...(readOnly !== undefined && { readOnly }) };
      const result = await identity.narrow({ session, ...limits, reason, by });
      return result.isGranted ? reply.code(201).send(result.narrowing) : refused(reply, result);
    });

    app.delete<{ Params: { session: string } }>(
      '/v1/narrowings/:session',
      async (request, reply) => {
        const result = await identity.widen({ session: request.params.session, by });
        return result.isGranted ? reply.code(204).send() : refused(reply, result);
      },
    );

    app.get('/v1/credentials', async () => identity.credentials());

    app.post('/v1/credentials', async (request, reply) => {
      const credential = credentialShape.parse(request.body);
      const result = await identity.registerCredential(credential, { by });
      return result.isGranted ? reply.code(201).send(credential) : refused(reply, result);
    });

    app.delete<{ Params: { '*': string } }>('/v1/credentials/*', async (request, reply) => {
      const result = await identity.withdrawCredential(request.params['*'], { by });
      return result.isGranted ? reply.code(204).send() : refused(reply, result);
    });

    app.get('/v1/person-sessions', async () =>
      ((await identity.login?.sessions()) ?? []).map(asNarrowed),
    );
    app.get('/v1/passkeys', async () => (await identity.login?.passkeys()) ?? []);
    app.get('/v1/passkey-recoveries', async () => (await identity.login?.recoveries()) ?? []);

    app.post('/v1/passkey-invites', async (request, reply) => {
      const { subject, ttlSeconds } = inviteShape.parse(request.body);
      if (!identity.login) {
        const detail = "people do not sign in here: countersign.yaml has no 'authority.login'";
        return problem(reply, { status: 404, title: 'Not Found', detail });
      }
      const made = await identity.login.invite({
        ...{ subject, by },
        ...(ttlSeconds !== undefined && { ttlSeconds }),
      });
      if (!made.isGranted) return refused(reply, made);
      const { code, invite } = made;
      const enrolUrl = `${identity.issuer.url}/enrol`;
      return reply.code(201).send({ code, invite, enrolUrl });
    });

    app.get('/v1/ca', async () => identity.authorities.show());

    app.post<{ Params: { kind: string; step: string } }>(
      '/v1/ca/:kind/:step',
      async (request, reply) => {
        const { kind, step } = caShape.parse(request.params);
        const { authorities } = identity;
        const result = await (() => {
          switch (step) {
            case 'prepare':
              return authorities.prepare(kind, { by });
            case 'activate': {
              const { id } = activationShape.parse(request.body ?? {});
              return authorities.activate(kind, { by, ...(id !== undefined && { id }) });
            }
            default:
              return authorities[step](kind, { ...taintShape.parse(request.body), by });
          }
        })();
        return 'isGranted' in result ? refused(reply, result) : result;
      },
    );

    // A wildcard: a SPIFFE ID may be longer than what Fastify takes as a named parameter.
    app.delete<{ Params: { target: string; '*': string } }>(
      '/v1/revocations/:target/*',
      async (request, reply) => {
        const target = z.enum(REVOCABLE).parse(request.params.target);
        const result = await identity.reinstate({ target, value: request.params['*'], by });
        return result.isGranted ? reply.code(204).send() : refused(reply, result);
      },
    );
  };
}

/** Others are of what is not there. */
const OPERATOR_ANSWERS: Partial<Record<Refusal['code'], { status: number; title: string }>> = {
  'subject-disabled': { status: 409, title: 'Conflict' },
  'credential-registered': { status: 409, title: 'Conflict' },
  'subject-revoked': { status: 409, title: 'Conflict' },
  'authority-state': { status: 409, title: 'Conflict' },
  'organisation-cut-off': { status: 409, title: 'Conflict' },
  'authority-unavailable': { status: 503, title: 'Service Unavailable' },
  'request-malformed': { status: 422, title: 'Unprocessable Content' },
  'credential-malformed': { status: 422, title: 'Unprocessable Content' },
  'device-malformed': { status: 422, title: 'Unprocessable Content' },
  'device-registered': { status: 409, title: 'Conflict' },
};

/** The operator is told why. */
export function refused(
  reply: Parameters<typeof problem>[0],
  { code, detail }: Refusal,
): ReturnType<typeof problem> {
  const { status, title } = OPERATOR_ANSWERS[code] ?? { status: 404, title: 'Not Found' };
  return problem(reply, { status, title, detail: `${code}: ${detail}` });
}
