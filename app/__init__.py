"""What people see: the dashboard. The only package that imports Panel, HoloViews or Bokeh."""
