import {
  becomeWorkload,
  callMesh,
  callMeshAs,
  foreignSvid,
  selfMadeCertificate,
} from './mesh-callers.ts';
import { outcomeWords, tally } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';

/** Being inside, and having a certificate, is not being somebody. */
export const unregisteredService: Scene = {
  name: 'unregistered-service',
  title: 'A service nobody registered calls accounts: own CA, foreign SVID, own CA with our name',
  expected: '3 x 401 certificate-invalid',
  run: async (env) => {
    const name = 'workload/payments/api';
    const other = { trustDomain: 'other.example', spiffeId: `spiffe://other.example/${name}` };
    const { trustDomain } = env;
    const ours = { trustDomain, spiffeId: `spiffe://${trustDomain}/${name}` };
    const credentials = await Promise.all([
      selfMadeCertificate(env.now),
      foreignSvid(other, env.now),
      foreignSvid(ours, env.now),
    ]);
    const path = '/accounts-api/accounts/22289/available-funds';
    const answers = await Promise.all(
      credentials.map((credential) => callMesh(env, 'accounts', path, credential)),
    );
    const words = await Promise.all(answers.map((answer) => outcomeWords(env, answer)));
    const ids = answers.map(({ eventId }) => eventId);
    return sceneResult(unregisteredService, tally(words), ids);
  },
};

/** The core authenticates nobody; what stands around it does. */
export const wrapWithoutIdentity: Scene = {
  name: 'wrap-without-identity',
  title: 'Somebody inside calls the legacy core without any identity',
  expected: '401 certificate-missing',
  run: async (env) => {
    const answer = await callMesh(env, 'core', '/core/accounts/22289');
    return sceneResult(wrapWithoutIdentity, await outcomeWords(env, answer), [answer.eventId]);
  },
};

/** A registered service, a good SVID, and a hop that nobody declared. */
export const undeclaredHop: Scene = {
  name: 'undeclared-hop',
  title: 'The payments service, taken over, calls the core past the accounts service',
  expected: '403 policy-none-permits',
  run: async (env) => {
    const payments = await becomeWorkload(env, 'workload/payments/api');
    try {
      const answer = await callMeshAs(env, payments, 'core', '/core/accounts/22289');
      return sceneResult(undeclaredHop, await outcomeWords(env, answer), [answer.eventId]);
    } finally {
      await payments.close();
    }
  },
};
