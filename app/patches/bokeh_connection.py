"""A browser's connection that is lost stays lost: the page takes up its session anew instead.

BokehJS 3.9 reconnects by itself, but wrongly: it goes on reading in the middle of the message that was cut off, so that
the new connection fails for good; it asks for the whole document and throws away its arrays, so that the page keeps
what it had before the cut; and it gives up after some thirty seconds. What it does here is told to `app.browser.link`.
"""

from __future__ import annotations

from app.browser.link import script

HOOKS = """
{
  const connection = Bokeh.require("client/connection").ClientConnection.prototype, {connect, _on_message} = connection
  connection.connect = async function() {
    this.token = await pcmlabLink.taken(this.token, this)
    return connect.call(this)
  }
  connection._on_message = function(event) {
    pcmlabLink.heard()
    _on_message.call(this, event)
  }
  connection._schedule_reconnect = () => { pcmlabLink.lost() }
  // What is still sent meanwhile, such as that a frame was painted, is no error.
  connection.send = function(message) { if (this.socket?.readyState === WebSocket.OPEN) message.send(this.socket) }
}
"""

SCRIPT = script(HOOKS)
"""For the page's head, to be run after Bokeh's and `app.browser.link`'s."""
