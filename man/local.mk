# what this room builds
dist_man_MANS += %D%/meshctl.1 %D%/meshd.conf.5
