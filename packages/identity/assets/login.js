// The pages' one script: it asks for challenges, hands them to the browser's authenticators, and goes where it is told.
(() => {
  const { startAuthentication, startRegistration } = globalThis.SimpleWebAuthnBrowser;
  const main = document.querySelector('main');
  const { mode, path } = main.dataset;
  const byId = (id) => document.getElementById(id);

  const MESSAGES = {
    refused: 'This did not work.',
    code: 'This code is not good. Ask for another one.',
    over: 'This sign-in is over. Go back to the application and begin again.',
    later: 'This did not work too often. Wait a few minutes.',
    'hardware-needed': 'This takes a security key of the bank, and two of them registered.',
    'person-differs': 'This passkey is of somebody else than you said before.',
    'last-passkey': 'This is your last passkey: add another one first.',
    'sign-in': 'You are not signed in any more.',
    'approval-over': 'This request is over.',
  };

  function say(text) {
    byId('message').textContent = text;
  }

  async function post(url, body = {}) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      credentials: 'same-origin',
      redirect: 'error',
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(MESSAGES[answer.error] ?? MESSAGES.refused);
    return answer;
  }

  function on(id, run) {
    whenClicked(byId(id), run);
  }

  function whenClicked(button, run) {
    button?.addEventListener('click', async () => {
      button.disabled = true;
      say('');
      try {
        await run();
      } catch (error) {
        // What authenticators say of themselves helps nobody here.
        say(error.name === 'Error' ? error.message : MESSAGES.refused);
      } finally {
        button.disabled = false;
      }
    });
  }

  async function signIn() {
    const optionsJSON = await post(`${path}/options`);
    const { location } = await post(`${path}/login`, await startAuthentication({ optionsJSON }));
    globalThis.location.assign(location);
  }

  async function register({ hardware, ask, finish, more }) {
    const made = await post(ask, { ...more, hardware });
    const response = await startRegistration({ optionsJSON: made.options });
    return post(finish, { ...more, hardware: made.hardware, label: byId('label').value, response });
  }

  async function enrol(hardware) {
    const more = { code: byId('code').value };
    await register({ hardware, more, ask: '/enrol/options', finish: '/enrol/finish' });
    say('The passkey is registered. You can sign in with it.');
    main.dataset.state = 'registered';
  }

  async function add(hardware) {
    await register({ hardware, ask: '/account/passkey/options', finish: '/account/passkey/add' });
    globalThis.location.assign('/account');
  }

  const ACTIONS = {
    'end-session': '/account/session/end',
    'end-device': '/account/device/end',
    'remove-passkey': '/account/passkey/remove',
    'approve-recovery': '/account/recovery/approve',
    'deny-approval': '/account/approval/deny',
  };

  if (mode === 'login' || mode === 'account-login') on('sign-in', signIn);
  on('abort', async () => globalThis.location.assign((await post(`${path}/abort`)).location));
  on('enrol', () => enrol(false));
  on('enrol-hardware', () => enrol(true));
  on('add', () => add(false));
  on('add-hardware', () => add(true));
  on('sign-out', async () => {
    await post('/account/logout');
    globalThis.location.assign('/account');
  });
  async function approve(id) {
    const optionsJSON = await post('/account/approval/options', { id });
    const response = await startAuthentication({ optionsJSON });
    await post('/account/approval/approve', { id, response });
    globalThis.location.assign('/account');
  }

  for (const button of document.querySelectorAll('button[data-approve]')) {
    whenClicked(button, () => approve(button.dataset.id));
  }
  for (const button of document.querySelectorAll('button[data-action]')) {
    button.addEventListener('click', async () => {
      try {
        await post(ACTIONS[button.dataset.action], { id: button.dataset.id });
        globalThis.location.assign('/account');
      } catch (error) {
        say(error.message);
      }
    });
  }
})();
