"""The page's link to its session: what the page says when it is lost, and how the page finds its run again.

The page keeps the token of its session in the tab's ``sessionStorage``, under the address that it has: no other tab or
site has it, and another address begins another session. When the connection is lost, the page says so at once, takes
no input, and asks the server every second whether the session still lives. Then it loads itself anew, and a page that
loads takes up the session of its tab: that is what a person's own reload does, too. A session that has ended is not
replaced without a word: its last picture stays until the person begins another one.
"""

from __future__ import annotations

import base64
import json

ADDRESS, HEADER = "session", "X-Pcmlab-Session"
"""Where the server tells whether a session lives, beside the page; how its token is told."""

SECONDS_BETWEEN_TRIES = 1.0
SECONDS_OF_SILENCE = 6.0
"""Without a word from the server, after which the page asks whether it is there: a machine that slept hears nothing."""

SECONDS_FOR_ANSWER = 10.0
"""For which the server may be busy."""

SECONDS_FOR_TABS = 0.2
"""For which another tab may claim the session: who duplicates a tab duplicates its storage."""

WORDS = {
    "lost": "The connection to the server is lost. The page tries to reach it …",
    "back": "The server answers again: the page is loaded anew …",
    "gone": "The server has ended this session: its run is over. What you see is its last picture.",
    "barred": "The server does not know this browser any more: open the address that the server has printed.",
    "new": "The earlier session of this tab has ended: this is a new one, with the settings of the address.",
    "again": "Begin a new session",
    "state": "no connection",
}

LINK = """
globalThis.pcmlabLink = (({address, header, times, words}) => {
  const tabs = new BroadcastChannel('pcmlab-sessions')
  const seconds = (time) => new Promise((resolve) => setTimeout(resolve, 1000 * time))
  let token = null, kept = null, connection = null, isLost = false, heard = Infinity

  // The address follows the settings. A page that only says that there is no place is not worth coming back to.
  const here = () => `pcmlab-session ${location.pathname}${location.search}`
  const stored = () => { try { return sessionStorage.getItem(here()) } catch { return null } }
  const forget = () => { try { if (kept !== null) sessionStorage.removeItem(kept) } catch {} }
  const keep = () => {
    if (token === null || !window.Bokeh?.documents?.[0]?.get_model_by_name('frames')) return
    forget()
    kept = here()
    try { sessionStorage.setItem(kept, token) } catch {}
  }
  addEventListener('pagehide', keep)

  // What the server says of a session: 200 and a fresh token, 410 once it has ended; 0 if it does not answer.
  const ask = async (value) => {
    try {
      const [signal, headers] = [AbortSignal.timeout(1000 * times.answer), {[header]: value}]
      const reply = await fetch(address, {headers, signal, cache: 'no-store'})
      return {status: reply.status, token: reply.status === 200 ? (await reply.json()).token : null}
    } catch {
      return {status: 0, token: null}
    }
  }

  let claimed = () => {}
  tabs.onmessage = ({data}) => {
    if (data.claim !== undefined) claimed(data.claim)
    else if (token !== null && !isLost && data.ask === token) tabs.postMessage({claim: token})
  }
  const heldElsewhere = (value) => new Promise((resolve) => {
    claimed = (claim) => { if (claim === value) resolve(true) }
    tabs.postMessage({ask: value})
    seconds(times.tabs).then(() => resolve(false))
  })

  const box = document.createElement('div')
  Object.assign(box.style, {
    position: 'fixed', left: '50%', bottom: '30px', transform: 'translateX(-50%)', zIndex: 100000, maxWidth: '80vw',
    padding: '12px 18px', borderRadius: '8px', background: '#7c2d12', color: '#fff', boxShadow: '0 2px 12px #0008',
    font: '500 15px/1.4 system-ui, sans-serif',
  })
  box.setAttribute('role', 'alert')
  box.id = 'pcmlab-link'
  const say = (what, again = false) => {
    box.textContent = words[what]
    if (again) {
      const button = document.createElement('button')
      Object.assign(button.style, {marginLeft: '14px', padding: '4px 10px', font: 'inherit', cursor: 'pointer'})
      button.textContent = words.again
      button.onclick = () => {
        token = null
        forget()
        location.reload()
      }
      box.append(button)
    }
    if (!box.isConnected) document.documentElement.append(box)
  }

  // The status strip lies in shadow roots; the page that comes has a new one.
  const elements = (root) => [...root.querySelectorAll('*')].flatMap((el) => (
    el.shadowRoot === null ? [el] : [el, ...elements(el.shadowRoot)]
  ))
  const still = () => {
    document.body.inert = true
    for (const el of elements(document.body)) {
      if (el.dataset?.status === 'state') {
        el.textContent = words.state
        el.parentElement.className = 'strip'
      } else if (['speed', 'pace', 'time'].includes(el.dataset?.status)) el.textContent = ''
    }
  }

  const lost = async () => {
    if (isLost) return
    isLost = true
    still()
    say('lost')
    while (true) {
      const {status} = await ask(token)
      if (status === 410) return say('gone', true)
      if (status === 401 || status === 403) return say('barred')
      if (status === 200 || status === 404) {
        say('back')
        return location.reload()
      }
      await seconds(times.tries)
    }
  }

  const watch = async () => {
    while (!isLost) {
      await seconds(1)
      keep()
      if (connection === null || Date.now() - heard < 1000 * times.silence) continue
      const {status} = await ask(token)
      if (status === 200) heard = Date.now()
      else if (!isLost) connection.socket?.close()
      if (status !== 200) lost()
    }
  }

  // The token to connect with: of the session that this tab had, if it lives and no other tab has it, else the page's.
  const taken = async (fresh, made) => {
    connection = made
    const earlier = stored()
    let value = fresh
    if (earlier !== null && !await heldElsewhere(earlier)) {
      const reply = await ask(earlier)
      value = reply.token ?? fresh
      if (reply.status === 410) {
        say('new')
        setTimeout(() => box.remove(), 12000)
      }
    }
    kept = here()
    token = value
    watch()
    return value
  }
  return {taken, lost, heard: () => { heard = Date.now() }}
})
"""

OPTIONS = {
    "address": f"./{ADDRESS}",
    "header": HEADER,
    "words": WORDS,
    "times": {
        "tries": SECONDS_BETWEEN_TRIES,
        "silence": SECONDS_OF_SILENCE,
        "answer": SECONDS_FOR_ANSWER,
        "tabs": SECONDS_FOR_TABS,
    },
}


def script(text: str) -> str:
    """Address of a script for the page's head."""
    return "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()


SCRIPT = script(f"{LINK.strip()}({json.dumps(OPTIONS)})")
"""To be run before `app.patches.bokeh_connection`'s."""
