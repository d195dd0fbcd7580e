# what this room builds
dist_man_MANS += %D%/meshd.conf.5
dist_man_MANS += %D%/meshctl.1
dist_man_MANS += %D%/meshd.8
